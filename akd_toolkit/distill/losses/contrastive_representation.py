"""Contrastive distillation of embeddings: the teacher's embedding of the same utterance against those of others."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from akd_toolkit.distill.losses.alignment import unit
from akd_toolkit.distill.losses.base import Loss, check_choice, check_every_teacher_has, check_positive
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("contrastive_representation")
class ContrastiveRepresentation(Loss):
    """Contrastive representation distillation (CRD), with the batch for a memory bank.

    x[t, b, j] = < unit(P s[b]), unit(P[t] e[t, j]) >,   h(x) = exp(x / T) / (exp(x / T) + N[b] / M)
    loss[b] = sum over t of w[t, b] ( -log h(x[t, b, b]) - sum over negatives j of log(1 - h(x[t, b, j])) ) / (N[b] + 1)

    Student s[b] and teacher e[t, b] of one utterance belong together; the teacher's embeddings of N[b] other utterances
    are negatives. P are learned with the student. The source draws N negatives from a bank of all M training
    utterances; here the bank is the batch of size M: no stale embeddings, fewer negatives. The sum is divided by
    N[b] + 1, so that its size does not change with the batch. An utterance without negatives has loss 0.

    Source: Tian, Krishnan & Isola 2020, "Contrastive representation distillation", section 3.1.
    Shape: embeddings [batch, D] and m of [batch, D_t], labels [batch] -> [batch], in nats, >= 0.

    Arguments
    ---------
    dim
        Size of the projected embeddings, >= 1.
    temperature
        Sharpness T > 0 of the comparison.
    negatives
        ``"other"``: every other utterance of the batch; ``"other_class"``: those with another label.

    Example
    -------
    >>> crd = ContrastiveRepresentation(2, [2], dim=2, temperature=1.0)
    >>> for projection in (crd.student_projection, *crd.teacher_projections):
    ...     _ = nn.init.eye_(projection.weight), nn.init.zeros_(projection.bias)
    >>> student = ModelOutput(torch.zeros(2, 2), embedding=torch.eye(2))
    >>> teacher = TeacherOutput(torch.zeros(1, 2, 2), embedding=(torch.eye(2),))
    >>> crd(student, teacher, torch.tensor([0, 1])).detach()  # (log(1 + 0.5 / e) + log(1 + 1 / 0.5)) / 2
    tensor([0.6337, 0.6337])
    """

    example_options = {"student_embedding_dim": 8, "teacher_embedding_dims": [3, 4], "dim": 4}
    reads = ("embedding",)
    mixes = False  # the mixed-in utterance would be a negative

    def __init__(
        self,
        student_embedding_dim: int,
        teacher_embedding_dims: list[int],
        dim: int = 128,
        temperature: float = 0.1,
        negatives: str = "other",
    ):
        super().__init__()
        check_every_teacher_has(
            "embeddings", teacher_embedding_dims, len(teacher_embedding_dims), "contrastive_representation"
        )
        self.negatives = check_choice("negatives", negatives, ("other", "other_class"))
        self.temperature = check_positive("temperature", temperature)
        dim = int(check_positive("dim", dim))
        self.student_projection = nn.Linear(student_embedding_dim, dim)
        self.teacher_projections = nn.ModuleList(nn.Linear(size, dim) for size in teacher_embedding_dims)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        trust = teacher.trust().detach()
        with torch.autocast(trust.device.type, enabled=False):
            own = unit(self.student_projection(student.embedding.float()))  # [batch, dim]
            pairs = zip(teacher.embedding, self.teacher_projections, strict=True)
            targets = [unit(project(embedding.float())) for embedding, project in pairs]
            scores = own @ torch.stack(targets).transpose(1, 2) / self.temperature  # [m, batch, batch]
        negatives = self._negatives(labels, scores.shape[-1])
        present = teacher.is_present().float()  # [m, batch]
        negatives = negatives * present[:, None]  # [m, batch, batch]
        count = negatives.sum(dim=2)  # [m, batch], N
        # h(x) is the sigmoid of this; without negatives the logarithm of N / M would be infinite, and h is 1.
        size = present.sum(dim=1, keepdim=True).clamp(min=1)  # M
        evidence = scores - (count.clamp(min=1) / size).log()[..., None]
        alike = -functional.logsigmoid(evidence.diagonal(dim1=1, dim2=2))  # [m, batch]
        unlike = -(functional.logsigmoid(-evidence) * negatives).sum(dim=-1)  # [m, batch]
        return (trust * (alike * (count > 0) + unlike) / (count + 1)).sum(dim=0)

    def _negatives(self, labels: Tensor, batch: int) -> Tensor:
        """1 where utterance j is a negative of b, else 0: [batch, batch]."""
        if self.negatives == "other_class":
            return (labels[:, None] != labels).float()
        return 1 - torch.eye(batch, device=labels.device)
