"""What fitting a head needs: classes that weigh the same, and a calibrated temperature."""

from collections.abc import Sequence

import torch
from torch import Tensor

from akd_toolkit.metrics.calibration import least_temperature


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
    """The divisor of ``logits`` of least balanced cross-entropy, from 0.05 to 20; see ``least_temperature``.

    Example
    -------
    >>> logits = torch.tensor([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])  # very sure, and wrong once in four
    >>> even = torch.full((4,), 0.25, dtype=torch.float64)
    >>> round(best_temperature(logits, torch.tensor([0, 0, 0, 1]), even), 3)  # 9 / ln 3
    8.192
    """
    logits = logits.double()
    return least_temperature(lambda temperature: float(balanced_nll(logits / temperature, labels, balance)))
