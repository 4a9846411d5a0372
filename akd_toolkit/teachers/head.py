"""A linear reader of emotions on top of a frozen teacher's statistics."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.files import write_text_aside, written_aside

MAX_STEPS = 200  # of L-BFGS; a fit usually needs 30 to 80
MAX_FOR_LAYERS = 1000  # utterances from which layer weights are learned
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
        return torch.einsum("l,nld->nd", self.layer_weights, self._standard(features))

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
    features: Tensor,
    labels: Tensor,
    speakers: Sequence[str],
    label_order: Sequence[str],
    l2: Sequence[float],
) -> list[Head]:
    """One head per strength in ``l2``, on the same standardisation and the same layer weights.

    minimise over W, b:   sum_i w_i CE_i + 0.5 l2 |W|^2,   w_i = 1 / (C n_class(i))

    The layer weights a are learned first, on speakers left out in turn (``learn_layer_weights``). With fewer utterances
    than numbers the fit runs in the space that the utterances span; nothing is lost, the penalty knows no direction.

    Arguments
    ---------
    speakers
        Who speaks each utterance, [n].
    l2
        Strengths > 0; each starts from the solution of the one before, so order them from strong to weak.

    Shape
    -----
    features: [n, L, D]. labels: [n], indices into ``label_order``.

    Raises
    ------
    ValueError
        If a class has no utterance, so that balancing would divide by zero.

    Example
    -------
    >>> x = torch.tensor([-1.0, -1.0, 1.0, 1.0]).reshape(4, 1, 1)
    >>> head, = fit_heads(x, torch.tensor([0, 0, 1, 1]), ["A", "B", "A", "B"], ("low", "high"), [0.1])
    >>> head.logits(x).argmax(dim=-1), head.heard
    (tensor([0, 0, 1, 1]), ('A', 'B'))
    """
    heard = tuple(sorted(set(speakers)))
    balance = class_balance(labels, label_order, heard)
    deviation, mean = torch.std_mean(features, dim=0, correction=0)  # [L, D]
    # A number that never moves says nothing; dividing by its rounding error would make it shout.
    deviation = torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)
    standard = ((features - mean) / deviation).clamp(-CLIP, CLIP)
    layer_weights = learn_layer_weights(standard, labels, speakers, balance)
    scaled = (standard * (layer_weights[:, None] / features.shape[-1]).sqrt()).flatten(1)
    basis, reduced = _span(scaled)
    weight = torch.zeros(len(label_order), reduced.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(label_order), dtype=torch.float64, requires_grad=True)
    heads = []
    for strength in map(float, l2):
        _fit_classifier(reduced, labels, balance, strength, weight, bias)
        full = (weight.detach().float() @ basis.T).reshape(len(label_order), *features.shape[1:])
        tensors = (mean, deviation, layer_weights, full, bias.detach().float())
        heads.append(Head(*tensors, label_order=tuple(label_order), heard=heard, l2=strength))
    return heads


def learn_layer_weights(standard: Tensor, labels: Tensor, speakers: Sequence[str], balance: Tensor) -> Tensor:
    """Softmax weights [L] of the layers' kernels under which unseen speakers are told apart best.

    minimise over a = softmax(free), r, s:   balanced cross-entropy of s f
    f_i = ridge regression (strength r) on one-hot labels, kernel sum_l a_l <z_l, z_l'> / D, without the speaker of i

    The regression without a speaker's utterances g follows from one inverse A of the whole kernel:
    f_g = y_g - A_gg^-1 (A y)_g. Learned on the utterances they were fitted to, the weights would go to whichever
    layer separates those best, which is not the layer that generalises.

    Source: closed-form leave-group-out residuals as in Pahikkala et al. 2006.

    Shape
    -----
    standard: [n, L, D], standardised. labels, balance: [n]. Returns [L], sum 1, equal where there is only one speaker.
    """
    num_layers, size = standard.shape[1:]
    names = np.asarray(speakers)
    if num_layers == 1 or len(np.unique(names)) < 2:
        return torch.full((num_layers,), 1.0 / num_layers)
    # Cost grows with n^3; a thousand utterances tell the layers apart.
    kept = torch.arange(0, len(labels), -(-len(labels) // MAX_FOR_LAYERS))
    standard, labels, balance, names = standard[kept], labels[kept], balance[kept], names[kept.numpy()]
    kernels = torch.stack([layer @ layer.T for layer in standard.unbind(1)]).double() / size  # [L, n, n]
    left_out = [torch.from_numpy(np.flatnonzero(names == name)) for name in np.unique(names)]
    targets = torch.nn.functional.one_hot(labels).double()
    unweight = torch.diag(1 / (balance * len(labels)))
    free = torch.zeros(num_layers, dtype=torch.float64, requires_grad=True)
    log_ridge = torch.tensor(np.log(0.3), requires_grad=True)
    log_scale = torch.tensor(np.log(10.0), requires_grad=True)

    def loss() -> Tensor:
        kernel = torch.einsum("l,lij->ij", torch.softmax(free, dim=0), kernels) + 1.0  # + 1: a constant term
        inverse = torch.linalg.inv(kernel + log_ridge.exp() * unweight)
        residual = inverse @ targets
        total = 0.0
        for group in left_out:
            unseen = targets[group] - torch.linalg.solve(inverse[group][:, group], residual[group])
            total = total + balanced_nll(log_scale.exp() * unseen, labels[group], balance[group])
        return total

    _minimise(loss, [free, log_ridge, log_scale], steps=15)
    return torch.softmax(free.detach(), dim=0).float()


def class_balance(labels: Tensor, label_order: Sequence[str], speakers: Sequence[str]) -> Tensor:
    """Weight of each utterance, so that every class weighs 1 / C and all together 1: [n].

    Example
    -------
    >>> class_balance(torch.tensor([0, 0, 1]), ("a", "b"), ())
    tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64)
    """
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
    return (torch.nn.functional.cross_entropy(logits, labels, reduction="none") * balance).sum()


def best_temperature(logits: Tensor, labels: Tensor, balance: Tensor) -> float:
    """The divisor of ``logits`` that makes their probabilities truest: least balanced cross-entropy, 0.05 to 20.

    Example
    -------
    >>> logits = torch.tensor([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])  # very sure, and wrong once in four
    >>> even = torch.full((4,), 0.25, dtype=torch.float64)
    >>> round(best_temperature(logits, torch.tensor([0, 0, 0, 1]), even), 3)  # 9 / ln 3
    8.192
    """
    logits, labels = logits.double(), labels
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        return float(balanced_nll(logits / np.exp(log_temperature), labels, balance))

    left, right = high - golden * (high - low), low + golden * (high - low)
    left_loss, right_loss = loss(left), loss(right)
    while high - low > 1e-6:  # one valley: the loss is convex in 1 / temperature
        if left_loss < right_loss:
            high, right, right_loss = right, left, left_loss
            left = high - golden * (high - low)
            left_loss = loss(left)
        else:
            low, left, left_loss = left, right, right_loss
            right = low + golden * (high - low)
            right_loss = loss(right)
    return float(np.exp((low + high) / 2))


def _span(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal basis [D, r] of the rows and their coordinates [n, r] in float64; r = min(n, D)."""
    if len(inputs) >= inputs.shape[1]:
        return torch.eye(inputs.shape[1]), inputs.double()
    basis, triangle = torch.linalg.qr(inputs.T)  # inputs = triangle.T @ basis.T
    return basis, triangle.T.double().contiguous()


def _fit_classifier(inputs: Tensor, labels: Tensor, balance: Tensor, l2: float, weight: Tensor, bias: Tensor) -> None:
    """Move ``weight`` [C, r] and ``bias`` [C] to the least of the convex loss."""

    def loss() -> Tensor:
        return balanced_nll(inputs @ weight.T + bias, labels, balance) + 0.5 * l2 * weight.square().sum()

    _minimise(loss, [weight, bias], steps=MAX_STEPS)


def _minimise(loss, parameters: list[Tensor], steps: int) -> None:
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=steps,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
