"""Distillation in two parts: certainty of the true class, and comparison of the other classes."""

import torch
from torch import Tensor, log_softmax

from akd_toolkit.distill.losses.base import (
    Loss,
    check_not_negative,
    check_positive,
    check_same_classes,
    kl_divergence,
)
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("decoupled_kl")
class DecoupledKL(Loss):
    """Decoupled distillation (DKD) from the teachers' mixture: target and non-target classes apart.

    p = softmax(logits / T) of the student, or the trusted mixture of the teachers' p; y = the true class
    b = (p_y, 1 - p_y),   q_c = p_c / (1 - p_y) over the classes c != y
    loss = alpha T^2 KL(b_teacher || b_student) + beta T^2 KL(q_teacher || q_student)

    Plain distillation has 1 - p_y of the teacher in place of beta: the surer it is, the less its view of the other
    classes counts. With two classes the second term is 0. The paper warms the loss up over the first 20 epochs:
    ``weight: {name: warmup, value: 1.0, until: 0.5}`` for 40 epochs.

    Source: Zhao et al. 2022 (DKD), sections 3.1-3.3; the mixture: Liu, Zhang & Wang 2020 (AMTML-KD).
    Shape: logits [batch, classes] and [m, batch, classes], labels [batch] -> [batch], in nats, >= 0.

    Arguments
    ---------
    alpha, beta
        Weights >= 0 of the target and of the non-target part.

    Example
    -------
    >>> teacher = TeacherOutput(torch.tensor([[[0.0, 0.0, -1e4]]]))  # p = 1/2, 1/2, 0
    >>> student = ModelOutput(torch.zeros(1, 3))  # b: (1/2, 1/2) against (1/3, 2/3); q: (1, 0) against (1/2, 1/2)
    >>> DecoupledKL(alpha=1.0, beta=1.0, temperature=1.0)(student, teacher, torch.tensor([0]))  # log(9/8) / 2 + log 2
    tensor([0.7520])
    """

    def __init__(self, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0):
        super().__init__()
        self.alpha = check_not_negative("alpha", alpha)
        self.beta = check_not_negative("beta", beta)
        self.temperature = check_positive("temperature", temperature)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        teacher_binary, teacher_others = _parts(teacher.log_mixture(self.temperature).detach(), labels)
        student_binary, student_others = _parts(log_softmax(student.logits.float() / self.temperature, dim=-1), labels)
        target = kl_divergence(teacher_binary, student_binary)
        others = kl_divergence(teacher_others, student_others)
        return self.temperature**2 * (self.alpha * target + self.beta * others)


def _parts(log_probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """log b [batch, 2] and log q [batch, classes - 1], without leaving the logarithm."""
    classes = torch.arange(log_probs.shape[1] - 1, device=log_probs.device)
    others = log_probs.gather(1, classes + (classes >= labels[:, None]))  # skips the true class
    log_rest = torch.logsumexp(others, dim=1, keepdim=True)  # log(1 - p_y), without the subtraction
    return torch.cat([log_probs.gather(1, labels[:, None]), log_rest], dim=1), others - log_rest
