"""The angles that three utterances form, the same in teacher and student."""

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from akd_toolkit.distill.losses.base import Loss, check_choice, check_positive
from akd_toolkit.distill.losses.relations import SPACES, distances_between, points_of
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("angle_relation")
class AngleRelation(Loss):
    """Huber distance between the angles of teacher and student at each utterance, equations (9)-(10).

    psi(x_i, x_j, x_k) = < e_ij, e_kj >,   e_ij = (x_i - x_j) / |x_i - x_j|
    loss[j] = mean over i != k, both != j, of Huber( psi(student i, j, k) - psi(teacher i, j, k) ),   Huber's delta = 1

    psi is the cosine of the angle at j. The paper prints an arccos, whose gradient is infinite at 0 and pi, and no
    norms; as in the sources, the arccos is left out. In (10) the paper multiplies the two angles, the sources compare
    them. They sum over all triplets; here each middle point has a mean of its own, so that a gate can act on it and
    the value does not grow with the batch.

    With embeddings each teacher has its own angles, weighted by w[t, j]. A triplet has no weight where i or k is nearly
    equal to j in teacher or student (``relations.RESOLUTION``); an utterance without a triplet has loss 0 and no
    gradient. The cost grows with batch^3.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), soft targets; Park et al. 2019 (RKD), embeddings; Khan et al. 2026,
    equations (9)-(10).
    Shape: logits [batch, classes] and [m, batch, classes], or embeddings [batch, D] and m of [batch, D_t] -> [batch],
    >= 0.

    Arguments
    ---------
    max_triplets
        Where batch^3 is larger, each utterance gets only so many random partners (at least two) that the triplets stay
        below this number. None always takes all; a million is enough for 100 utterances.

    Example
    -------
    >>> corner, line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0], [1.0], [2.0]])
    >>> student = ModelOutput(torch.zeros(3, 2), embedding=corner)
    >>> teacher = TeacherOutput(torch.zeros(1, 3, 2), embedding=(line,))
    >>> AngleRelation(space="embedding")(student, teacher, None)  # cosines 0, .7071, .7071; the teacher's are 1, -1, 1
    tensor([0.5000, 1.2071, 0.0429])
    """

    def __init__(self, space: str = "soft_targets", temperature: float = 4.0, max_triplets: int | None = 1_000_000):
        super().__init__()
        self.space = check_choice("space", space, SPACES)
        self.temperature = check_positive("temperature", temperature)
        self.max_triplets = None if max_triplets is None else check_positive("max_triplets", max_triplets)
        self.reads = ("embedding",) if space == "embedding" else ()

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        points, teachers, trust, present = points_of(student, teacher, self.space, self.temperature)
        partners = self._partners(points)
        cosines, apart = _angles(points, partners)
        losses = [
            _compared(cosines, apart, *_angles(other, partners, given)) for other, given in zip(teachers, present)
        ]
        return (trust * torch.stack(losses)).sum(dim=0)

    def _partners(self, points: Tensor) -> Tensor | None:
        """Random partners of each utterance, [batch, n] with n^2 batch <= max_triplets, or None for all."""
        batch = len(points)
        if self.max_triplets is None or batch**3 <= self.max_triplets or batch < 3:
            return None
        n = min(batch - 1, max(2, int((self.max_triplets / batch) ** 0.5)))
        steps = torch.rand(batch, batch - 1, device=points.device).argsort(dim=1)[:, :n] + 1  # never to oneself
        return (torch.arange(batch, device=points.device)[:, None] + steps) % batch


def _angles(points: Tensor, partners: Tensor | None, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cosines [j, i, k] at each middle point j, and which partners i are apart from it, [j, i]."""
    distances, apart = distances_between(points, present)
    arms, between = distances, distances  # |x_i - x_j| as [j, i]; |x_i - x_k| as [i, k], the same for every j
    if partners is not None:
        arms, apart = arms.gather(1, partners), apart.gather(1, partners)
        between = between[partners[:, :, None], partners[:, None, :]]  # [j, i, k]
    # The law of cosines: 2 cos = (arm^2 + other arm^2 - between^2) / (arm * other arm).
    inverse, squares = 1 / torch.where(apart, arms, 1.0), torch.square(arms)
    sides = squares[:, :, None] + squares[:, None, :] - torch.square(between)
    return sides * (inverse[:, :, None] / 2) * inverse[:, None, :], apart.to(arms.dtype)


def _compared(cosines: Tensor, apart: Tensor, teacher_cosines: Tensor, teacher_apart: Tensor) -> Tensor:
    """Mean Huber distance over the triplets of each middle point, [batch]."""
    valid = apart * teacher_apart
    values = smooth_l1_loss(cosines, teacher_cosines, reduction="none")
    # Where i = k both cosines are 1: this adds nothing to the sum, and is left out of the count.
    total = ((values * valid[:, None]).sum(dim=2) * valid).sum(dim=1)
    num_partners = valid.sum(dim=1)
    return total / (num_partners * (num_partners - 1)).clamp(min=1)
