"""Plain knowledge distillation."""

from torch import Tensor, log_softmax

from akd_toolkit.distill.losses.base import Loss, check_positive, check_same_classes, kl_divergence
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("soft_target_kl")
class SoftTargetKL(Loss):
    """Temperature-softened divergence of the student from each teacher, equations (2)-(4).

    loss[b] = mean over t of T^2 KL( softmax(teacher logits[t, b] / T) || softmax(student logits[b] / T) )

    Every teacher counts the same, whatever the weighting says: with one teacher this is plain distillation, with
    several the average of the plain terms. The paper prints no T^2, so its balance with the task moves with T.

    Source: Hinton, Vinyals & Dean 2015, section 2; Khan et al. 2026, equations (2)-(4).
    Shape: logits [batch, classes] and [m, batch, classes] -> [batch], in nats, >= 0.

    Example
    -------
    >>> import torch
    >>> student = ModelOutput(torch.tensor([[2.0, 0.0]]))
    >>> teacher = TeacherOutput(torch.tensor([[[0.0, 2.0]]]))
    >>> SoftTargetKL(temperature=1.0)(student, teacher, None)  # 2 tanh(1)
    tensor([1.5232])
    """

    def __init__(self, temperature: float = 4.0):
        super().__init__()
        self.temperature = check_positive("temperature", temperature)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        student_log_probs = log_softmax(student.logits.float() / self.temperature, dim=-1)  # [batch, classes]
        teacher_log_probs = log_softmax(teacher.logits.float() / self.temperature, dim=-1)  # [m, batch, classes]
        divergences = kl_divergence(teacher_log_probs, student_log_probs)  # [m, batch]
        return self.temperature**2 * (teacher.even_trust() * divergences).sum(dim=0)
