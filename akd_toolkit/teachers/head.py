"""Emotion heads: a linear classifier on the stored features of a frozen teacher, and how it is fitted."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.solvers import fit_classifier, minimise
from akd_toolkit.teachers.base import check_same_order

MAX_STEPS = 100  # of L-BFGS; more do not change predictions on unseen speakers
CLIP = 5.0  # standard deviations: larger values are accidents of one recording
MAX_UTTERANCES = 1000  # from which layer weights are learned; the cost grows with their cube
TENSORS = ("mean", "deviation", "layer_weights", "weight", "bias")


@dataclass(frozen=True)
class Head:
    """Softmax-weighted layers, standardised, and one linear classifier.

    z_l = clip((x_l - mean_l) / deviation_l),   logits = (b + sum_l W_l sqrt(a_l) z_l / sqrt(D)) / temperature

    Under the penalty on W, a_l is the weight of layer l's kernel <z_l, z_l'> / D in a weighted sum of kernels.

    Source: learned layer weights as in Yang et al. 2021 (SUPERB), here of kernels (Gönen & Alpaydın 2011), because a
    weighted sum of the layers themselves was worse on unseen speakers; temperature as in Guo et al. 2017.

    ``trained_on`` are the speakers whose labels were used, ``l2`` the strength of the penalty 0.5 l2 |W|^2 beside the
    mean balanced cross-entropy.

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
    trained_on: tuple[str, ...]
    l2: float
    temperature: float = 1.0

    def standardised(self, features: Tensor) -> Tensor:
        """z: [n, L, D] -> [n, L, D]."""
        return ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)

    def embed(self, features: Tensor) -> Tensor:
        """Layer-weighted standardised features sum_l a_l z_l: [n, L, D] -> [n, D]."""
        return self.layer_weights @ self.standardised(features)

    def logits(self, features: Tensor) -> Tensor:
        """Calibrated logits: [n, L, D] -> [n, C]."""
        scaled = self.weight * (self.layer_weights[:, None] / features.shape[-1]).sqrt()
        return (self.standardised(features).flatten(1) @ scaled.flatten(1).T + self.bias) / self.temperature

    def write(self, path) -> None:
        """Write ``path`` (safetensors) and, beside it, a .json with the other fields."""
        path = Path(path)
        fields = {"label_order": self.label_order, "heard": self.trained_on, "l2": self.l2}
        fields["temperature"] = self.temperature
        write_text_aside(path.with_suffix(".json"), json.dumps(fields, indent=1))
        with written_aside(path) as aside:
            aside.write_bytes(save({name: getattr(self, name).contiguous() for name in TENSORS}))

    @classmethod
    def read(cls, path, label_order: Sequence[str]) -> "Head":
        """Read a head; one with another label order is refused."""
        fields = json.loads(Path(path).with_suffix(".json").read_text())
        check_same_order(fields["label_order"], label_order, path)
        names = tuple(fields["label_order"]), tuple(fields["heard"])
        tensors = load_file(path)
        return cls(*(tensors[name] for name in TENSORS), *names, fields["l2"], fields["temperature"])


def fit_heads(
    views: Sequence[Tensor], labels: Tensor, speakers: Sequence[str], label_order: Sequence[str], l2: Sequence[float]
) -> list[Head]:
    """One head per strength in ``l2``, with the same standardisation and the same layer weights.

    minimise over W, b:   sum_i w_i CE_i + 0.5 l2 |W|^2,   w_i = 1 / (C V n_class(i))

    Every view of an utterance is an example, so that the head also works on augmented copies. The layer weights a are
    learned first, on the clean view, by leaving out one speaker at a time (``learn_layer_weights``). With more features
    than examples the fit runs in the span of the examples, which loses nothing. A class without an utterance raises
    ValueError. Each fit starts from the solution of the one before: order ``l2`` (> 0) from strong to weak.

    Shape
    -----
    views: V times [n, L, D], the clean one first. labels, speakers: [n]; labels are indices into ``label_order``.

    Example
    -------
    >>> x = torch.tensor([-1.0, -1.0, 1.0, 1.0]).reshape(4, 1, 1)
    >>> head, = fit_heads([x], torch.tensor([0, 0, 1, 1]), ["A", "B", "A", "B"], ("low", "high"), [0.1])
    >>> head.logits(x).argmax(dim=-1), head.trained_on
    (tensor([0, 0, 1, 1]), ('A', 'B'))
    """
    trained_on = tuple(sorted(set(speakers)))
    balance = class_balance(labels, label_order, trained_on)
    features = torch.cat(list(views))  # [V n, L, D]
    deviation, mean = torch.std_mean(features, dim=0, correction=0)  # [L, D]
    deviation = usable(deviation, mean)
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
        heads.append(Head(*tensors, tuple(label_order), trained_on, l2=strength))
    return heads


def usable(deviation: Tensor, mean: Tensor) -> Tensor:
    """The deviation, infinite where a feature is constant: dividing by its rounding error would amplify that."""
    return torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)


def _coordinates(rows: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Coordinates [n, r] of rows [n, D] in an orthonormal basis of their span, and the way back for weights [C, r]."""
    if len(rows) >= rows.shape[1]:
        return rows, lambda weight: weight
    # With rows rows^T = C C^T (Cholesky), the rows of C are the coordinates, and weights v stand for v C^-1 rows.
    products = (rows @ rows.T).double()
    # A matrix of low rank would not be positive definite after rounding.
    products.diagonal().add_(1e-6 * products.diagonal().mean() + 1e-12)
    lower = torch.linalg.cholesky(products)

    def back(weight: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(lower, weight.double(), upper=False, left=False).float() @ rows

    return lower.float(), back


def class_balance(labels: Tensor, label_order: Sequence[str], speakers: Sequence[str]) -> Tensor:
    """Weight of each utterance, so that every class weighs 1 / C and all together 1: [n]."""
    counts = torch.bincount(labels, minlength=len(label_order))
    missing = [name for name, count in zip(label_order, counts) if count == 0]
    if missing:
        raise ValueError(
            f"speakers {', '.join(speakers)} have no utterance of {', '.join(missing)}, so no head can be fitted on "
            "them alone; put these speakers into a larger group, or drop the class from label_order."
        )
    return 1.0 / (len(label_order) * counts[labels].double())


def balanced_nll(logits: Tensor, labels: Tensor, balance: Tensor) -> Tensor:
    """Cross-entropy with every class weighing the same, in nats."""
    return (functional.cross_entropy(logits, labels, reduction="none") * balance).sum()


def learn_layer_weights(standard: Tensor, labels: Tensor, speakers: Sequence[str], balance: Tensor) -> Tensor:
    """Softmax weights [L] of the layers' kernels that are best at classifying speakers left out of the fit.

    minimise over a = softmax(free), r, s:   balanced cross-entropy of s f
    f_i = ridge regression (strength r) on one-hot labels, kernel sum_l a_l <z_l, z_l'> / D, without the speaker of i

    Learned on the utterances that the classifier is fitted to, the weights would go to the layer that separates those
    best, which is not the layer that generalises.
    Equal where there is only one speaker. Source: see ``Head``. ``standard``: [n, L, D], standardised.
    """
    num_layers, size = standard.shape[1:]
    names = np.asarray(speakers)
    if num_layers == 1 or len(np.unique(names)) < 2:
        return torch.full((num_layers,), 1.0 / num_layers)
    targets = functional.one_hot(labels).double()
    kept = torch.arange(0, len(labels), -(-len(labels) // MAX_UTTERANCES))
    standard, targets, labels, balance = standard[kept], targets[kept], labels[kept], balance[kept]
    names = names[kept.numpy()]
    kernels = torch.stack([layer @ layer.T for layer in standard.unbind(1)]).double() / size  # [L, n, n]
    left_out = [torch.from_numpy(np.flatnonzero(names == name)) for name in np.unique(names)]
    unweight = 1 / (balance * len(labels))
    free = torch.zeros(num_layers, dtype=torch.float64, requires_grad=True)
    log_ridge = torch.tensor(np.log(0.3), requires_grad=True)
    log_scale = torch.tensor(np.log(10.0), requires_grad=True)

    def loss() -> Tensor:
        kernel = torch.einsum("l,lij->ij", torch.softmax(free, dim=0), kernels) + 1.0  # + 1: a constant term
        predicted = leave_out_ridge(kernel, targets, log_ridge.exp() * unweight, left_out)
        return balanced_nll(log_scale.exp() * predicted, labels, balance)

    minimise(loss, [free, log_ridge, log_scale], steps=15)
    return torch.softmax(free.detach(), dim=0).float()


def leave_out_ridge(kernel: Tensor, targets: Tensor, ridge: Tensor, left_out: list[Tensor]) -> Tensor:
    """Kernel ridge regression of every group of rows from all other rows, with one inverse for all groups.

    With A = (kernel + diag(ridge))^-1:   f_g = y_g - (A_gg)^-1 (A y)_g

    Source: Pahikkala, Boberg & Salakoski 2006. kernel: [n, n]; targets: [n, C]; ridge: [n], > 0; the groups of row
    numbers in ``left_out`` cover all rows once.
    """
    inverse = torch.linalg.inv(kernel + torch.diag(ridge))
    residual = inverse @ targets
    predicted = [targets[rows] - torch.linalg.solve(inverse[rows][:, rows], residual[rows]) for rows in left_out]
    return torch.cat(predicted)[torch.argsort(torch.cat(left_out))]
