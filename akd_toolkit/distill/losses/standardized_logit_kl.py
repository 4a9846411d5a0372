"""Distillation of the pattern of the logits, whatever their size."""

from dataclasses import replace

import torch
from torch import Tensor, log_softmax

from akd_toolkit.distill.losses.base import Loss, check_positive, check_same_classes, kl_divergence
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

SMALLEST_DEVIATION = 1e-3


@LOSSES.register("standardized_logit_kl")
class StandardizedLogitKL(Loss):
    """Divergence of the student from the teachers after the logits of each are standardised.

    Z(z) = (z - mean over classes of z) / (standard deviation over classes of z)
    loss[b] = T^2 KL( sum_t w[t, b] softmax(Z(teacher logits[t, b]) / T) || softmax(Z(student logits[b]) / T) )

    A small student need not produce logits as large as its teacher's, only in the same proportions. T is in standard
    deviations. The deviation divides by the number of classes, as in the paper (its code divides by one less), and is
    at least 0.001, so that equal logits give equal probabilities and a finite gradient. With two classes Z is +1 and
    -1 whatever the logits, and the loss has no gradient.

    Source: Sun et al. 2024 ("Logit standardization in knowledge distillation"), algorithms 1-2; the mixture: Liu,
    Zhang & Wang 2020 (AMTML-KD).
    Shape: logits [batch, classes] and [m, batch, classes] -> [batch], in nats, >= 0.

    Example
    -------
    >>> teacher = TeacherOutput(torch.tensor([[[0.0, 7.0], [5.0, 0.0]]]))  # Z is -1, 1 and 1, -1
    >>> student = ModelOutput(torch.tensor([[2.0, 0.0], [2.0, 0.0]]))
    >>> StandardizedLogitKL(temperature=1.0)(student, teacher, None)  # 2 tanh(1), 0
    tensor([1.5232, 0.0000])
    """

    def __init__(self, temperature: float = 2.0):
        super().__init__()
        self.temperature = check_positive("temperature", temperature)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        mixture = replace(teacher, logits=_standardized(teacher.logits)).log_mixture(self.temperature).detach()
        student_log_probs = log_softmax(_standardized(student.logits) / self.temperature, dim=-1)
        return self.temperature**2 * kl_divergence(mixture, student_log_probs)


def _standardized(logits: Tensor) -> Tensor:
    centred = logits.float() - logits.float().mean(dim=-1, keepdim=True)
    variance = torch.square(centred).mean(dim=-1, keepdim=True)
    return centred / variance.clamp(min=SMALLEST_DEVIATION**2).sqrt()
