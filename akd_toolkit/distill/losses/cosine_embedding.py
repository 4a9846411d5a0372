"""Distance of the student's embedding from the teachers', by direction."""

import torch
from torch import Tensor, nn

from akd_toolkit.distill.losses.alignment import unit
from akd_toolkit.distill.losses.base import Loss, check_every_teacher_has
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("cosine_embedding")
class CosineEmbedding(Loss):
    """One minus the cosine between each teacher's embedding and the student's projected one, equation (14).

    loss[b] = sum over t of w[t, b] (1 - cos(e[t, b], P[t] s[b] + p[t]))

    P is learned with the student, one matrix per teacher. An embedding of length 0 has cosine 0 and no gradient.

    Source: Aslam et al. 2023 (M2PKD), section 3.3; Khan et al. 2026, equation (14), its distillation term.
    Shape: embeddings [batch, D] and m of [batch, D_t] -> [batch], in [0, 2].

    Arguments
    ---------
    projection
        Whether the student's embedding is projected; without it all embeddings must have one size.

    Example
    -------
    >>> student = ModelOutput(torch.zeros(1, 2), embedding=torch.tensor([[3.0, 4.0]]))
    >>> teacher = TeacherOutput(torch.zeros(1, 1, 2), embedding=(torch.tensor([[10.0, 0.0]]),))
    >>> CosineEmbedding(2, [2], projection=False)(student, teacher, None)  # 1 - 3/5
    tensor([0.4000])
    """

    example_options = {"student_embedding_dim": 8, "teacher_embedding_dims": [3, 4]}
    reads = ("embedding",)

    def __init__(self, student_embedding_dim: int, teacher_embedding_dims: list[int], projection: bool = True):
        super().__init__()
        check_every_teacher_has("embeddings", teacher_embedding_dims, len(teacher_embedding_dims), "cosine_embedding")
        if not projection and set(teacher_embedding_dims) != {student_embedding_dim}:
            raise ValueError(
                f"loss 'cosine_embedding' without projection needs embeddings of one size: student "
                f"{student_embedding_dim}, teachers {list(teacher_embedding_dims)}. Set projection to true."
            )
        self.projection = projection
        self.projections = nn.ModuleList(
            nn.Linear(student_embedding_dim, dim) if projection else nn.Identity() for dim in teacher_embedding_dims
        )

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        trust = teacher.trust().detach()
        with torch.autocast(trust.device.type, enabled=False):
            own = student.embedding.float()
            cosines = [
                (unit(target) * unit(project(own))).sum(dim=-1)
                for target, project in zip(teacher.embedding, self.projections, strict=True)
            ]
        return (trust * (1 - torch.stack(cosines))).sum(dim=0)
