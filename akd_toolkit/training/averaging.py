"""Moving averages of a student's weights, over a horizon that fits the length of the training."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from akd_toolkit.data.batches import Batch

logger = logging.getLogger(__name__)
HORIZON = 0.05  # of all steps; the average reaches back about 1 / (1 - decay) steps


def bounded_decay(decay: float, total_steps: int) -> float:
    """The decay, lowered where its horizon of 1 / (1 - decay) steps is more than a twentieth of the training.

    Example
    -------
    >>> bounded_decay(0.99, 10_000)  # a horizon of 100 steps
    0.99
    """
    longest = max(0.0, 1 - 1 / max(HORIZON * total_steps, 1))
    if decay > longest:
        logger.warning(
            "weight_average %g reaches back too far for %d steps; %.3g is used.", decay, total_steps, longest
        )
    return min(decay, longest)


def moving_average(averaged: Tensor, current: Tensor, count: int, decay: float) -> Tensor:
    """averaged + (1 - d) (current - averaged) with d = min(decay, (1 + n) / (10 + n)), n = ``count`` steps so far.

    Early steps are forgotten quickly, so that the initial weights leave no trace. Whole numbers are not averaged.

    Source: the warm-up of TensorFlow's ``ExponentialMovingAverage(num_updates=n)``.

    Example
    -------
    >>> moving_average(torch.tensor([0.0]), torch.tensor([1.0]), count=0, decay=0.99)  # d = 1 / 10
    tensor([0.9000])
    """
    if not averaged.is_floating_point():
        return current
    return averaged.lerp(current, 1 - min(decay, (1 + count) / (10 + count)))


@torch.no_grad()
def estimate_norms(student: nn.Module, batches: Iterable[Batch]) -> None:
    """Estimate the running statistics of batch norms again: their means over ``batches``, with the weights as they are.

    Statistics that were averaged along with the weights belong to older weights.
    """
    norms = [module for module in student.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = student.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    student.train()
    for batch in batches:
        student(batch.waveforms, batch.lengths)
    student.train(training)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
