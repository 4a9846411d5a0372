"""The student's embedding tells its own teacher's answer from the teacher's answers to other utterances."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from akd_toolkit.distill.losses.alignment import check_all_have, unit
from akd_toolkit.distill.losses.base import Loss, check_positive
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES

NEGATIVES = ("other", "other_class")


@LOSSES.register("contrastive_representation")
class ContrastiveRepresentation(Loss):
    """Contrastive representation distillation (CRD), with the batch for a memory bank.

    x[t, b, j] = < unit(P s[b]), unit(P[t] e[t, j]) >,   h(x) = exp(x / T) / (exp(x / T) + N[b] / M)
    loss[b] = sum over t of w[t, b] ( -log h(x[t, b, b]) - sum over negatives j of log(1 - h(x[t, b, j])) ) / (N[b] + 1)

    Student s[b] and teacher e[t, b] of one utterance belong together; with the teacher's embeddings of N[b] other
    utterances they do not. P are learned with the student, w is the weighting's trust. The source draws N negatives
    from a bank of all M training utterances, which here is the batch, M its size: no stale embeddings, fewer
    negatives. Its sum is divided by N[b] + 1, so that its size does not change with the batch. An utterance without
    negatives has h = 1 and loss 0.

    Source: Tian, Krishnan & Isola 2020, "Contrastive representation distillation", section 3.1.

    Arguments
    ---------
    student_embedding_dim, teacher_embedding_dims
        Filled in by the objective.
    dim
        Numbers per projected embedding, >= 1.
    temperature
        Sharpness T > 0 of the comparison, no unit.
    negatives
        ``"other"``: every other utterance of the batch; ``"other_class"``: those of another label.

    Shape
    -----
    student.embedding [batch, D], teacher.embedding: m tensors [batch, D_t], labels [batch]. Returns [batch], in nats,
    >= 0.

    Raises
    ------
    ValueError
        If no teacher has an embedding or an option is out of range.

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
    mixes = False  # the partner, whom the student hears too, would be a negative

    def __init__(
        self,
        student_embedding_dim: int,
        teacher_embedding_dims: list[int],
        dim: int = 128,
        temperature: float = 0.1,
        negatives: str = "other",
    ):
        super().__init__()
        check_all_have("embeddings", teacher_embedding_dims, len(teacher_embedding_dims), "contrastive_representation")
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got '{negatives}'.")
        self.temperature = check_positive("temperature", temperature)
        self.negatives = negatives
        dim = int(check_positive("dim", dim))
        self.student_projection = nn.Linear(student_embedding_dim, dim)
        self.teacher_projections = nn.ModuleList(nn.Linear(size, dim) for size in teacher_embedding_dims)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        trust = teacher.trust().detach()
        with torch.autocast(trust.device.type, enabled=False):
            own = unit(self.student_projection(student.embedding.float()))  # [batch, dim]
            pairs = zip(teacher.embedding, self.teacher_projections, strict=True)
            theirs = [unit(project(said.float())) for said, project in pairs]
            scores = own @ torch.stack(theirs).transpose(1, 2) / self.temperature  # [m, batch, batch]
        apart = self._apart(labels, scores.shape[-1])  # [batch, batch]
        count = apart.sum(dim=1)  # [batch], N
        # h(x) is the sigmoid of this; without negatives the logarithm of N / M would be infinite, and h is 1.
        evidence = scores - (count.clamp(min=1) / len(count)).log()[:, None]
        alike = -functional.logsigmoid(evidence.diagonal(dim1=1, dim2=2))  # [m, batch]
        unlike = -(functional.logsigmoid(-evidence) * apart).sum(dim=-1)  # [m, batch]
        return (trust * (alike * (count > 0) + unlike) / (count + 1)).sum(dim=0)

    def _apart(self, labels: Tensor, batch: int) -> Tensor:
        """1 where utterance j is a negative of b, else 0: [batch, batch]."""
        if self.negatives == "other_class":
            return (labels[:, None] != labels).float()
        return 1 - torch.eye(batch, device=labels.device)
