"""Distillation from the weighted mixture of m teachers."""

from torch import Tensor, log_softmax

from akd_toolkit.distill.losses.base import Loss, check_positive, check_same_classes, kl_divergence
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("integrated_soft_targets")
class IntegratedSoftTargets(Loss):
    """Divergence of the student from the teachers' weighted mixture, equations (7)-(8).

    loss[b] = T^2 KL(y[b] || softmax(student logits[b] / T)),   y[b] = sum_t w[t, b] softmax(teacher logits[t, b] / T)

    The weights come from the objective's weighting (in the paper: the Adapter). Probabilities are mixed, never logits;
    the paper leaves this open. With one teacher this equals ``soft_target_kl``.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), equations (4)-(5); Khan et al. 2026, equations (7)-(8).
    Shape: logits [batch, classes] and [m, batch, classes] -> [batch], in nats, >= 0.

    Arguments
    ---------
    detach_mixture
        True stops the mixture's gradient, so that the weighting cannot lower this loss by moving trust to the teacher
        that the student already resembles. The weighting then learns from its own supervision alone.

    Example
    -------
    >>> import torch
    >>> student = ModelOutput(torch.tensor([[0.0, 0.0]]))
    >>> teacher = TeacherOutput(torch.tensor([[[100.0, 0.0]], [[0.0, 0.0]]]))  # the mixture is (3/4, 1/4)
    >>> IntegratedSoftTargets(temperature=1.0)(student, teacher, None)  # log 2 - H(3/4)
    tensor([0.1308])
    """

    def __init__(self, temperature: float = 4.0, detach_mixture: bool = True):
        super().__init__()
        self.temperature = check_positive("temperature", temperature)
        self.detach_mixture = detach_mixture

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        mixture = teacher.log_mixture(self.temperature)  # [batch, classes]
        if self.detach_mixture:
            mixture = mixture.detach()
        student_log_probs = log_softmax(student.logits.float() / self.temperature, dim=-1)
        return self.temperature**2 * kl_divergence(mixture, student_log_probs)
