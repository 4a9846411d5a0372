"""A linear reader of emotions on top of a frozen teacher's statistics."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.solvers import fit_classifier
from akd_toolkit.teachers.fitting import class_balance
from akd_toolkit.teachers.layer_weights import learn_layer_weights

MAX_STEPS = 100  # of L-BFGS; more move no answer on unheard speakers
CLIP = 5.0  # deviations: what lies further out is an accident of one recording


@dataclass(frozen=True)
class Head:
    """Softmax-weighted layers, standardised, and one linear classifier.

    z_l = clip((x_l - mean_l) / deviation_l),   logits = (b + sum_l W_l sqrt(a_l) z_l / sqrt(D)) / temperature

    Under the penalty on W, a_l is the weight of layer l's kernel <z_l, z_l'> / D in a weighted sum of kernels.

    Source: learned layer weights as in Yang et al. 2021 (SUPERB), here of kernels (Gönen & Alpaydın 2011), because a
    weighted sum of the layers themselves was worse on unseen speakers; temperature as in Guo et al. 2017.

    Attributes
    ----------
    label_order
        Classes in the order of the logits.
    heard
        Speakers whose labels went into this head. The audit reads it.
    l2
        Strength of the penalty 0.5 l2 |W|^2 beside the mean balanced cross-entropy.

    Shape
    -----
    mean, deviation: [L, D]. layer_weights (a): [L], sum 1. weight: [C, L, D]. bias: [C].

    Example
    -------
    >>> one = torch.ones(1, 1)
    >>> weight = torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    >>> head = Head(0 * one, one, torch.ones(1), weight, torch.zeros(2), ("a", "b"), ("speaker 1",), l2=0.1)
    >>> head.logits(torch.tensor([[[2.0]]]))
    tensor([[ 2., -2.]])
    """

    mean: Tensor
    deviation: Tensor
    layer_weights: Tensor
    weight: Tensor
    bias: Tensor
    label_order: tuple[str, ...]
    heard: tuple[str, ...]
    l2: float
    temperature: float = 1.0

    def embed(self, features: Tensor) -> Tensor:
        """Layer-weighted standardised statistics sum_l a_l z_l: [n, L, D] -> [n, D]."""
        return self.layer_weights @ self._standard(features)

    def logits(self, features: Tensor) -> Tensor:
        """Calibrated logits: [n, L, D] -> [n, C]."""
        scaled = self.weight * (self.layer_weights[:, None] / features.shape[-1]).sqrt()
        return (self._standard(features).flatten(1) @ scaled.flatten(1).T + self.bias) / self.temperature

    def _standard(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)

    def write(self, path) -> None:
        """Write ``path`` (safetensors) and, beside it, a .json with label order and the speakers heard."""
        from safetensors.torch import save

        path = Path(path)
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        about = {name: getattr(self, name) for name in ("label_order", "heard", "l2", "temperature")}
        write_text_aside(path.with_suffix(".json"), json.dumps(about, indent=1))
        with written_aside(path) as aside:
            aside.write_bytes(save(tensors))

    @classmethod
    def read(cls, path, label_order: Sequence[str]) -> "Head":
        """Read a head; one with another label order is refused."""
        from safetensors.torch import load_file

        path = Path(path)
        about = json.loads(path.with_suffix(".json").read_text())
        check_label_order(about["label_order"], label_order, path)
        return cls(
            **load_file(path),
            label_order=tuple(about["label_order"]),
            heard=tuple(about["heard"]),
            l2=about["l2"],
            temperature=about["temperature"],
        )


TENSORS = ("mean", "deviation", "layer_weights", "weight", "bias")


def check_label_order(stored: Sequence[str], wanted: Sequence[str], path) -> None:
    """Refuse stored numbers per class whose classes are in another order."""
    if list(stored) != list(wanted):
        raise ValueError(
            f"teacher and student order classes differently: [{', '.join(stored)}] in {path} and "
            f"[{', '.join(wanted)}]. Set label_order once and pass it to both."
        )


def fit_heads(
    views: Sequence[Tensor],
    labels: Tensor,
    speakers: Sequence[str],
    label_order: Sequence[str],
    l2: Sequence[float],
) -> list[Head]:
    """One head per strength in ``l2``, on the same standardisation and the same layer weights.

    minimise over W, b:   sum_i w_i CE_i + 0.5 l2 |W|^2,   w_i = 1 / (C V n_class(i))

    Every view of an utterance is an example: a head that has heard clean speech only is at a loss with the copies, and
    hearing them helps it with clean speech too. The layer weights a are learned first, on the clean view and on
    speakers left out in turn (``learn_layer_weights``). With fewer examples than numbers the fit runs in the space that
    the examples span; nothing is lost, the penalty knows no direction.

    Arguments
    ---------
    speakers
        Who speaks each utterance, [n].
    l2
        Strengths > 0; each starts from the solution of the one before, so order them from strong to weak.

    Shape
    -----
    views: V tensors [n, L, D], the clean one first. labels: [n], indices into ``label_order``.

    Raises
    ------
    ValueError
        If a class has no utterance, so that balancing would divide by zero.

    Example
    -------
    >>> x = torch.tensor([-1.0, -1.0, 1.0, 1.0]).reshape(4, 1, 1)
    >>> head, = fit_heads([x], torch.tensor([0, 0, 1, 1]), ["A", "B", "A", "B"], ("low", "high"), [0.1])
    >>> head.logits(x).argmax(dim=-1), head.heard
    (tensor([0, 0, 1, 1]), ('A', 'B'))
    """
    heard = tuple(sorted(set(speakers)))
    balance = class_balance(labels, label_order, heard)
    features = torch.cat(list(views))  # [V n, L, D]
    deviation, mean = torch.std_mean(features, dim=0, correction=0)  # [L, D]
    # A number that never moves says nothing; dividing by its rounding error would make it shout.
    deviation = torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)
    standard = ((features - mean) / deviation).clamp(-CLIP, CLIP)
    layer_weights = learn_layer_weights(standard[: len(labels)], labels, speakers, balance)
    scaled = (standard * (layer_weights[:, None] / features.shape[-1]).sqrt()).flatten(1)
    inputs, back = _coordinates(scaled)
    weight = torch.zeros(len(label_order), inputs.shape[1], requires_grad=True)
    bias = torch.zeros(len(label_order), requires_grad=True)
    examples = labels.repeat(len(views)), balance.repeat(len(views)).float() / len(views)
    heads = []
    for strength in map(float, l2):
        fit_classifier(inputs, *examples, strength, weight, bias, MAX_STEPS)
        full = back(weight.detach().clone()).reshape(len(label_order), *features.shape[1:])
        tensors = (mean, deviation, layer_weights, full, bias.detach().clone())
        heads.append(Head(*tensors, label_order=tuple(label_order), heard=heard, l2=strength))
    return heads


def _coordinates(rows: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Coordinates [n, r] of rows [n, D] in an orthonormal basis of their span, and the way back for weights [C, r].

    With rows rows^T = C C^T (Cholesky), the rows of C are the coordinates, and weights v stand for v C^-1 rows.
    """
    if len(rows) >= rows.shape[1]:
        return rows, lambda weight: weight
    products = (rows @ rows.T).double()
    # The product was rounded, which a matrix of low rank would not survive.
    products.diagonal().add_(1e-6 * products.diagonal().mean() + 1e-12)
    lower = torch.linalg.cholesky(products)
    return (
        lower.float(),
        lambda weight: torch.linalg.solve_triangular(lower, weight.double(), upper=False, left=False).float() @ rows,
    )
