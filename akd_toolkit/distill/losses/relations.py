"""For losses on relations between utterances: the points to compare, and distances that are safe to divide by."""

from collections.abc import Sequence

import torch
from torch import Tensor

from akd_toolkit.distill.losses.base import check_same_classes
from akd_toolkit.outputs import ModelOutput, TeacherOutput

SPACES = ("soft_targets", "embedding")
# Points nearer than this share of their root mean square norm count as equal: in single precision the direction from
# one to the other is mostly rounding.
RESOLUTION = 1e-4
FLAT_FROM = 16.0  # e^-16 is about the rounding error of a float32 near 1


def soft_targets(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature) [batch, classes], with a gradient even where it is certain.

    A class more than 16 temperatures below the most likely one has a probability under 1e-7. Its distance d is
    replaced by 16 + log(1 + d - 16): no probability moves by more than 1e-7, and where the gradient of a softmax would
    underflow to 0, one remains that can lead a certain student back.
    """
    logits = logits.float()
    below = (logits.amax(dim=-1, keepdim=True) - logits) / temperature
    bent = below.clamp(max=FLAT_FROM) + torch.log1p((below - FLAT_FROM).clamp(min=0))
    return torch.softmax(-bent, dim=-1)


def points_of(
    student: ModelOutput, teacher: TeacherOutput, space: str, temperature: float
) -> tuple[Tensor, tuple[Tensor, ...], Tensor, Sequence[Tensor | None]]:
    """Points [batch, D] of the student and of each teacher, trust in each [m, batch], and where each is present.

    In soft targets there is one teacher, the mixture, with trust 1. None instead of [batch] means present everywhere.
    """
    if space == "soft_targets":
        check_same_classes(student, teacher)
        mixture = teacher.mixture(temperature).detach()
        return soft_targets(student.logits, temperature), (mixture,), torch.ones_like(mixture[:, 0])[None], (None,)
    if student.embedding is None or len(teacher.embedding) != len(teacher):
        raise ValueError(
            f"space 'embedding' needs an embedding of the student and of each of the {len(teacher)} teachers, got "
            f"{'none' if student.embedding is None else 'one'} and {len(teacher.embedding)}. Use space 'soft_targets'."
        )
    embeddings = tuple(embedding.float().detach() for embedding in teacher.embedding)
    present = (None,) * len(teacher) if teacher.present is None else teacher.present
    return student.embedding.float(), embeddings, teacher.trust().detach(), present


def distances_between(points: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distances [batch, batch], and which pairs are apart; the others have distance 0 and no gradient.

    A point that is not ``present`` [batch] is apart from none.
    """
    if present is not None:
        points = torch.where(present[:, None], points, points[present].mean(dim=0) if present.any() else 0.0)
    # Products need less memory than differences, batch^2 D numbers. They are in double precision because the distance
    # of near points is what remains of nearly equal numbers.
    centred = points.double() - points.double().mean(dim=0)
    products = centred @ centred.T
    squares = products.diagonal()
    squared = squares[:, None] + squares - 2 * products
    apart = squared.detach() > RESOLUTION**2 * torch.square(points.detach().double()).sum(dim=-1).mean()
    if present is not None:
        apart = apart & present & present[:, None]
    # The gradient of the root is infinite at 0: it must not even be computed there.
    return (torch.where(apart, squared, 1.0).sqrt() * apart).to(points.dtype), apart
