"""Moving averages of a student's weights, over a horizon that fits the length of the training."""

import logging
from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

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
    >>> import torch
    >>> moving_average(torch.tensor([0.0]), torch.tensor([1.0]), count=0, decay=0.99)  # d = 1 / 10
    tensor([0.9000])
    """
    if not averaged.is_floating_point():
        return current
    return averaged.lerp(current, 1 - min(decay, (1 + count) / (10 + count)))


class WeightAverage(AveragedModel):
    """A copy of a student that follows it by ``moving_average``, buffers included.

    ``decay`` is bounded by ``bounded_decay`` when the training's length is known; see ``set_length``.
    """

    def __init__(self, student: nn.Module, decay: float):
        super().__init__(student, avg_fn=self._average, use_buffers=True)
        self.decay = decay

    def set_length(self, total_steps: int) -> None:
        self.decay = bounded_decay(self.decay, total_steps)

    def estimate_norms(self, batches: Iterable[Batch], device) -> None:
        """Estimate batch-norm statistics again, as their means over ``batches``: averaged ones are of older weights."""
        update_bn(batches, _OnBatches(self.module), device)

    def _average(self, averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
        return moving_average(averaged, current, int(count), self.decay)


class _OnBatches(nn.Module):
    """The student, called with a ``Batch`` as ``update_bn`` calls it."""

    def __init__(self, student: nn.Module):
        super().__init__()
        self.student = student
        self.train(student.training)

    def forward(self, batch: Batch):
        return self.student(batch.waveforms, batch.lengths)
