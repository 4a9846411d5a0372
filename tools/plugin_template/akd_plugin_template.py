"""A loss that the AKD toolkit finds through the entry point of this package."""

from akd_toolkit.distill.losses import Loss


class Jeffreys(Loss):
    """Symmetric divergence of the student from the teachers' mixture, in nats.

    loss[b] = sum_c (p - q) (log p - log q),   p = mixture of softmax(teachers / T),   q = softmax(student / T)

    Source: Jeffreys 1946, "An invariant form for the prior probability in estimation problems".

    >>> import torch
    >>> from akd_toolkit.outputs import ModelOutput, TeacherOutput
    >>> student, teacher = ModelOutput(torch.tensor([[2.0, 0.0]])), TeacherOutput(torch.tensor([[[0.0, 2.0]]]))
    >>> Jeffreys()(student, teacher, None)  # 4 tanh(1)
    tensor([3.0464])
    """

    def __init__(self, temperature: float = 1.0):
        super().__init__()
        self.temperature = temperature

    def forward(self, student, teacher, labels):
        log_p = teacher.log_mixture(self.temperature)  # [batch, classes]
        log_q = (student.logits.float() / self.temperature).log_softmax(dim=-1)
        return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1)  # [batch]
