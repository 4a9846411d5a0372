"""Dimensional labels as the teachers predict them."""

from torch import Tensor

from akd_toolkit.distill.losses.base import Loss
from akd_toolkit.distill.losses.concordance import student_attributes
from akd_toolkit.metrics.concordance import discordances
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("teacher_concordance")
class TeacherConcordance(Loss):
    """One minus the concordance (CCC) of the student's attributes with the teachers' trusted mean prediction.

    loss[b] as in ``concordance``, with t_b = sum_m w[m, b] t_m[b] in place of the truth; acts on unlabelled speech too

    Source: Lin 1989 (CCC); ours, in addition to M2PKD (Aslam et al. 2023), which aligns embeddings and not predictions.
    Shape: student.attributes [batch, A], teacher.attributes [m, batch, A] -> [batch], >= 0. Labels are not used.

    Example
    -------
    >>> import torch
    >>> student = ModelOutput(torch.zeros(3, 2), attributes=torch.tensor([[2.0], [3.0], [4.0]]))
    >>> two = torch.tensor([[[0.0], [1.0], [2.0]], [[2.0], [3.0], [4.0]]])  # their mean is 1, 2, 3
    >>> teacher = TeacherOutput(torch.zeros(2, 3, 2), attributes=two)
    >>> TeacherConcordance()(student, teacher, labels=None)  # CCC = 4/7: right up to an offset
    tensor([0.4286, 0.4286, 0.4286])
    """

    reads = ("attributes",)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        return discordances(student_attributes(student), teacher.trusted_attributes().detach())
