"""A gate that closes as the teachers' mixture becomes uncertain."""

import math

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate, check_theta
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_entropy")
class TeacherEntropy(Gate):
    """One minus the teachers' normalised entropy, shut above ``theta``; needs no label.

    h[b] = -sum_c p[b, c] log p[b, c] / log C,   gate[b] = 1 - h[b] if h[b] <= theta else 0

    It cannot tell a teacher that is certain and right from one that is certain and wrong.

    Source: Kwon, Na, Lee & Kim 2020, "Adaptive knowledge distillation based on entropy", who trust a teacher the less
    the higher its entropy. The scale of [0, 1], the mixture and ``theta`` (as in ``teacher_error``) are ours.

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
        self.theta = check_theta(theta)

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        probs = teacher.mixture(temperature=1.0)  # [batch, classes]
        entropy = torch.special.entr(probs).sum(dim=-1) / math.log(probs.shape[-1])  # entr(0) is 0
        entropy = entropy.clamp(0, 1)  # rounding can leave it at 1 + 1e-7
        return torch.where(entropy <= self.theta, 1 - entropy, torch.zeros_like(entropy))
