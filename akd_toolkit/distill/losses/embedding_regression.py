"""Squared distance of the student's projected embedding from the teachers'."""

import torch
from torch import Tensor, nn

from akd_toolkit.distill.losses.base import Loss, check_every_teacher_has
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("embedding_regression")
class EmbeddingRegression(Loss):
    """Mean squared error with which the student's embedding predicts each teacher's, by a learned linear map.

    loss[b] = sum over t of w[t, b] / D_t |e[t, b] - P[t] s[b] - p[t]|^2

    P and p are learned with the student. Teachers' embeddings are standardised, so that the loss starts at about 1 and
    is the share of their variance that the student does not explain.

    Source: Romero et al. 2015 (FitNets), equation (3), on embeddings of utterances instead of layers.
    Shape: embeddings [batch, D] and m of [batch, D_t] -> [batch], >= 0.

    Example
    -------
    >>> loss = EmbeddingRegression(1, [2])
    >>> _ = nn.init.constant_(loss.projections[0].weight, 2.0)
    >>> student = ModelOutput(torch.zeros(1, 2), embedding=torch.tensor([[1.0]]))  # predicts 2, 2
    >>> teacher = TeacherOutput(torch.zeros(1, 1, 2), embedding=(torch.tensor([[3.0, 5.0]]),))
    >>> loss(student, teacher, None).detach()  # (1 + 9) / 2
    tensor([5.])
    """

    example_options = {"student_embedding_dim": 8, "teacher_embedding_dims": [3, 4]}
    reads = ("embedding",)

    def __init__(self, student_embedding_dim: int, teacher_embedding_dims: list[int]):
        super().__init__()
        dims = teacher_embedding_dims
        check_every_teacher_has("embeddings", dims, len(dims), "embedding_regression")
        self.projections = nn.ModuleList(nn.Linear(student_embedding_dim, dim) for dim in dims)
        for projection in self.projections:
            nn.init.zeros_(projection.bias)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        trust = teacher.trust().detach()
        with torch.autocast(trust.device.type, enabled=False):
            own = student.embedding.float()
            errors = [
                (target.float() - project(own)).square().mean(dim=-1)
                for target, project in zip(teacher.embedding, self.projections, strict=True)
            ]
        return (trust * torch.stack(errors)).sum(dim=0)
