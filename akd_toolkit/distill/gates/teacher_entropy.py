"""The gate of doubt: trust shrinks with the entropy of what the teachers say together."""

import math

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_entropy")
class TeacherEntropy(Gate):
    """One minus the teachers' normalised entropy, shut above ``theta``.

    h[b] = -sum_c p[b, c] log p[b, c] / log C,   p = the weighted mixture of the teachers at T = 1
    gate[b] = 1 - h[b] if h[b] <= theta else 0

    It asks no label, so it acts on unlabelled speech too. It cannot tell a teacher that is surely right from one that
    is surely wrong, and a teacher whose logits are too large always looks sure.

    Source: Kwon, Na, Lee & Kim 2020, "Adaptive knowledge distillation based on entropy", who trust a teacher the less
    the higher its entropy. The scale of [0, 1], the mixture and ``theta`` (as in ``teacher_error``) are ours.

    Arguments
    ---------
    theta
        Largest normalised entropy that still distils, in [0, 1]. 1 never shuts; 0 opens only for full certainty.

    Shape
    -----
    teacher.logits [m, batch, classes]; the labels are not read. Returns [batch], in [0, 1].

    Raises
    ------
    ValueError
        If ``theta`` is outside [0, 1].

    Example
    -------
    >>> sure, torn, lost = [99.0, 0.0, 0.0, 0.0], [99.0, 99.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]
    >>> teacher = TeacherOutput(torch.tensor([[sure, torn, lost]]))
    >>> TeacherEntropy()(ModelOutput(torch.zeros(3, 4)), teacher, labels=None)  # log 1, log 2, log 4 over log 4
    tensor([1.0000, 0.5000, 0.0000])
    """

    needs_truth = False

    def __init__(self, theta: float = 1.0):
        super().__init__()
        if not 0 <= theta <= 1:
            raise ValueError(f"theta must be in [0, 1], got {theta}.")
        self.theta = theta

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        probs = teacher.mixture(temperature=1.0)  # [batch, classes]
        entropy = torch.special.entr(probs).sum(dim=-1) / math.log(probs.shape[-1])  # entr(0) is 0
        entropy = entropy.clamp(0, 1)  # rounding can leave it at 1 + 1e-7
        return torch.where(entropy <= self.theta, 1 - entropy, torch.zeros_like(entropy))
