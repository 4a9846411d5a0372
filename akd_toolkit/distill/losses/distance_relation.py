"""Distances between utterances should agree in teacher and student, up to one factor."""

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from akd_toolkit.distill.losses.base import Loss, check_choice, check_positive
from akd_toolkit.distill.losses.relations import SPACES, distances_between, points_of
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("distance_relation")
class DistanceRelation(Loss):
    """Huber distance between the relative distances of teacher and student.

    psi(x_i, x_j) = |x_i - x_j| / mu,   mu = mean of |x_i - x_j| over all pairs i != j of the batch
    loss[i] = mean over j != i of Huber( psi(student i, j) - psi(teacher i, j) ),   Huber's delta = 1

    The mean over the batch is the mean over pairs, where the paper has the sum. With embeddings each teacher has its
    own distances, weighted by w[t, i]. Points that are nearly equal (``relations.RESOLUTION``) have distance 0 and no
    gradient. A teacher whose points are all equal gives loss 0. A student whose points are all equal has psi = 0, so a
    loss above 0, and no gradient: no direction would be better than another.

    Source: Park et al. 2019 (RKD), distance-wise loss.
    Shape: as for ``angle_relation`` -> [batch], >= 0.

    Example
    -------
    >>> line, equilateral = torch.tensor([[0.0], [1.0], [2.0]]), torch.eye(3)
    >>> student = ModelOutput(torch.zeros(3, 2), line)  # relative distances 3/4, 3/4, 3/2; the teacher's are 1
    >>> teacher = TeacherOutput(torch.zeros(1, 3, 2), embedding=(equilateral,))
    >>> DistanceRelation(space="embedding")(student, teacher, None)  # (1/32 + 1/8) / 2, 1/32, the first again
    tensor([0.0781, 0.0312, 0.0781])
    """

    def __init__(self, space: str = "soft_targets", temperature: float = 4.0):
        super().__init__()
        self.space = check_choice("space", space, SPACES)
        self.temperature = check_positive("temperature", temperature)
        self.reads = ("embedding",) if space == "embedding" else ()

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        points, teachers, trust, present = points_of(student, teacher, self.space, self.temperature)
        values = torch.zeros_like(points[:, 0])
        for other, weight, given in zip(teachers, trust, present):
            relative, _ = _relative_distances(points, given)
            target, exists = _relative_distances(other, given)
            pairs = smooth_l1_loss(relative, target, reduction="none")  # [batch, batch], 0 on the diagonal
            values = values + weight * exists * pairs.sum(dim=1) / max(_count(points, given) - 1, 1)
        return values


def _count(points: Tensor, present: Tensor | None) -> int:
    return len(points) if present is None else int(present.sum())


def _relative_distances(points: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor]:
    """Distances divided by their mean over different utterances [batch, batch], and whether that mean is above 0."""
    distances, _ = distances_between(points, present)
    count = _count(points, present)
    mean = distances.sum() / max(count * (count - 1), 1)
    return distances / torch.where(mean > 0, mean, 1.0), mean.detach() > 0
