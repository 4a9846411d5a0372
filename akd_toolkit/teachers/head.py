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
CLIP = 5.0  # deviations: what lies further out is an accident of one recording


@dataclass(frozen=True)
class Head:
    """Softmax-weighted layers, standardised, and one linear classifier.

    z_l = clip((x_l - mean_l) / deviation_l),   h = sum_l a_l z_l,   logits = (W h / sqrt(D) + b) / temperature

    Source: learned layer weights as in Yang et al. 2021 (SUPERB); temperature scaling as in Guo et al. 2017.

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
    mean, deviation: [L, D]. layer_weights: [L], sum 1. weight: [C, D]. bias: [C].

    Example
    -------
    >>> one = torch.ones(1, 1)
    >>> head = Head(0 * one, one, torch.ones(1), torch.tensor([[1.0], [-1.0]]), torch.zeros(2), ("a", "b"), ("x",), 0.1)
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
        """Layer-weighted standardised statistics: [n, L, D] -> [n, D]."""
        standard = ((features - self.mean) / self.deviation).clamp(-CLIP, CLIP)
        return torch.einsum("l,nld->nd", self.layer_weights, standard)

    def logits(self, features: Tensor) -> Tensor:
        """Calibrated logits: [n, L, D] -> [n, C]."""
        embedding = self.embed(features)
        return (embedding @ self.weight.T / embedding.shape[1] ** 0.5 + self.bias) / self.temperature

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
    label_order: Sequence[str],
    heard: Sequence[str],
    l2: Sequence[float],
) -> list[Head]:
    """One head per strength in ``l2``, on the same standardisation and the same layer weights.

    minimise over a, W, b:   sum_i w_i CE_i + 0.5 l2 |W|^2,   w_i = 1 / (C n_class(i)),   a = softmax(free [L])

    Layer weights are learned together with a classifier at the middle strength; the classifiers are then fitted
    exactly. With fewer utterances than numbers the fit runs in the space that the utterances span, which loses nothing
    since the penalty knows no direction.

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
    >>> head, = fit_heads(x, torch.tensor([0, 0, 1, 1]), ("low", "high"), ("A", "B"), [0.1])
    >>> head.logits(x).argmax(dim=-1)
    tensor([0, 0, 1, 1])
    """
    balance = class_balance(labels, label_order, heard)
    deviation, mean = torch.std_mean(features, dim=0, correction=0)  # [L, D]
    # A number that never moves says nothing; dividing by its rounding error would make it shout.
    deviation = torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)
    standard = ((features - mean) / deviation).clamp(-CLIP, CLIP)
    strengths = sorted(float(strength) for strength in l2)
    weights = _layer_weights(standard, labels, balance, strengths[len(strengths) // 2], len(label_order))
    embedding = torch.einsum("l,nld->nd", weights, standard).double() / features.shape[-1] ** 0.5
    heads = []
    basis, reduced = _span(embedding)
    for strength in l2:
        weight, bias = _fit_classifier(reduced, labels, balance, float(strength), len(label_order))
        heads.append(
            Head(
                *(mean, deviation, weights, (weight @ basis.T).float(), bias.float()),
                label_order=tuple(label_order),
                heard=tuple(heard),
                l2=float(strength),
            )
        )
    return heads


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


def _layer_weights(standard: Tensor, labels: Tensor, balance: Tensor, l2: float, num_classes: int) -> Tensor:
    """Softmax weights [L] learned together with a classifier, from equal ones."""
    num_layers, size = standard.shape[1:]
    if num_layers == 1:
        return torch.ones(1)
    free = torch.zeros(num_layers, requires_grad=True)
    weight = torch.zeros(num_classes, size, requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    balance = balance.float()

    def loss() -> Tensor:
        # logits per layer first: the sum over layers is then over [n, L, C] instead of [n, L, D]
        per_layer = standard @ (weight.T / size**0.5)  # [n, L, C]
        logits = torch.einsum("l,nlc->nc", torch.softmax(free, dim=0), per_layer) + bias
        return balanced_nll(logits, labels, balance) + 0.5 * l2 * weight.square().sum()

    _minimise(loss, [free, weight, bias], steps=60)
    return torch.softmax(free.detach(), dim=0)


def _span(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal basis [D, r] of the rows and their coordinates [n, r]; r = min(n, D)."""
    if len(embedding) >= embedding.shape[1]:
        return torch.eye(embedding.shape[1], dtype=embedding.dtype), embedding
    basis, triangle = torch.linalg.qr(embedding.T)  # embedding = triangle.T @ basis.T
    return basis, triangle.T.contiguous()


def _fit_classifier(inputs: Tensor, labels: Tensor, balance: Tensor, l2: float, num_classes: int):
    """Weights [C, r] and bias [C] of the convex fit."""
    weight = torch.zeros(num_classes, inputs.shape[1], dtype=inputs.dtype, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=inputs.dtype, requires_grad=True)

    def loss() -> Tensor:
        return balanced_nll(inputs @ weight.T + bias, labels, balance) + 0.5 * l2 * weight.square().sum()

    _minimise(loss, [weight, bias], steps=MAX_STEPS)
    return weight.detach(), bias.detach()


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
