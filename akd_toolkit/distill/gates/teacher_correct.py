"""The hard gate: follow the teachers only where they are right."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_correct")
class TeacherCorrect(Gate):
    """1 where the teachers together predict the true class, else 0.

    gate[b] = 1 if argmax over c of p[b, c] is label[b] else 0; the first of equally likely classes counts

    The paper learns from the label where the teacher is wrong and from the teacher alone where it is right: that is a
    complementary objective. A plain objective adds the gated distillation to the task.

    Source: Meng, Li, Zhao & Gong 2019, "Conditional teacher-student learning", for one teacher; the mixture is ours.

    Example
    -------
    >>> teacher = TeacherOutput(torch.tensor([[[5.0, 0.0], [0.0, 5.0]]]))  # predicts 0, then 1
    >>> TeacherCorrect()(ModelOutput(torch.zeros(2, 2)), teacher, torch.tensor([0, 0]))
    tensor([1., 0.])
    """

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        return (teacher.log_mixture(temperature=1.0).argmax(dim=-1) == labels).float()
