"""Logits as a regression target."""

import torch
from torch import Tensor

from akd_toolkit.distill.losses.base import Loss, check_same_classes
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("logit_mse")
class LogitMSE(Loss):
    """Mean squared difference of the student's logits and the teachers'.

    loss[b] = 1 / classes sum_c (z_s[b, c] - sum_t w[t, b] z[t, b, c])^2

    Source: Ba & Caruana 2014, section 2; Kim et al. 2021 ("Comparing Kullback-Leibler divergence and mean squared
    error loss in knowledge distillation").
    Shape: logits [batch, classes] and [m, batch, classes] -> [batch], >= 0.

    Arguments
    ---------
    centred
        True subtracts each model's mean over the classes first: a constant added to all logits changes no probability.
        The loss is then twice the limit of ``soft_target_kl`` of one teacher as T grows. False is the sources' form.

    Example
    -------
    >>> student = ModelOutput(torch.tensor([[6.0, 4.0]]))  # centred: 1, -1
    >>> teacher = TeacherOutput(torch.tensor([[[3.0, -3.0]], [[1.0, -1.0]]]))  # on average 2, -2
    >>> LogitMSE()(student, teacher, None), LogitMSE(centred=False)(student, teacher, None)
    (tensor([1.]), tensor([26.]))
    """

    def __init__(self, centred: bool = True):
        super().__init__()
        self.centred = centred

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        target = (teacher.trust().detach()[..., None] * teacher.logits.float()).sum(dim=0)  # [batch, classes]
        gaps = student.logits.float() - target
        if self.centred:
            gaps = gaps - gaps.mean(dim=-1, keepdim=True)
        return torch.square(gaps).mean(dim=-1)
