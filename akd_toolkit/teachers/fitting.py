"""What fitting a head needs: classes that weigh the same, a truthful temperature, one optimiser."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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
    logits = logits.double()
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


def minimise(loss, parameters: list[Tensor], steps: int) -> None:
    """Move ``parameters`` to the least of ``loss()`` by at most ``steps`` of L-BFGS, the same way every time.

    Example
    -------
    >>> x = torch.zeros(1, requires_grad=True)
    >>> minimise(lambda: (x - 3).square().sum(), [x], steps=10)
    >>> round(x.item(), 3)
    3.0
    """
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
