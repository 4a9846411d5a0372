"""Plain knowledge distillation."""

from torch import Tensor, log_softmax

from akd_toolkit.distill.losses.base import Loss, check_positive, check_same_classes
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("soft_target_kl")
class SoftTargetKL(Loss):
    """Temperature-softened divergence of the student from each teacher, equations (2)-(4).

    loss[b] = mean over t of T^2 sum_c p[t, b, c] (log p[t, b, c] - log q[b, c]),
    p[t] = softmax(teacher logits / T), q = softmax(student logits / T)

    Every teacher counts the same, whatever the weighting says: with one teacher this is plain distillation, with
    several it is the average of the plain terms. The paper prints no T^2, so that its balance moves with T.

    Source: Hinton, Vinyals & Dean 2015, section 2; Khan et al. 2026, equations (2)-(4).

    Arguments
    ---------
    temperature
        Softening T > 0, no unit. 1 leaves the distributions unchanged.

    Shape
    -----
    student.logits [batch, classes], teacher.logits [m, batch, classes], same class order. Returns [batch], in nats,
    >= 0; 0 only where every teacher's distribution is the student's.

    Raises
    ------
    ValueError
        If ``temperature`` is not positive, or the logits differ in shape.

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
        per_class = teacher_log_probs.exp() * (teacher_log_probs - student_log_probs)
        return self.temperature**2 * per_class.sum(dim=-1).mean(dim=0)
