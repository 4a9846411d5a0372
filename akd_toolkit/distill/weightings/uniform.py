"""Every teacher counts the same."""

import torch
from torch import Tensor

from akd_toolkit.distill.weightings.base import Weighting
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import WEIGHTINGS


@WEIGHTINGS.register("uniform")
class Uniform(Weighting):
    """The same trust in every teacher: w[t, b] = 1 / m.

    Source: the usual baseline of multi-teacher distillation, You et al. 2017.

    Example
    -------
    >>> Uniform()(ModelOutput(torch.zeros(1, 3)), TeacherOutput(torch.zeros(2, 1, 3)), torch.tensor([0]))
    tensor([[0.5000],
            [0.5000]])
    """

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        num_teachers, batch = teacher.logits.shape[:2]
        return torch.full((num_teachers, batch), 1 / num_teachers, device=teacher.logits.device)
