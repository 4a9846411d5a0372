"""What losses about relations between utterances share: points of a space, and distances that can be divided by."""

import torch
from torch import Tensor

from akd_toolkit.distill.losses.base import check_same_classes
from akd_toolkit.outputs import ModelOutput, TeacherOutput

SPACES = ("soft_targets", "embedding")
# Two points nearer than this share of the points' root mean square norm count as equal: what single precision says of
# the direction from one to the other is mostly rounding.
RESOLUTION = 1e-4
# e^-16 is about the rounding error of a float32 near 1.
FLAT_FROM = 16.0


def soft_targets(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature) [batch, classes], whose gradient does not vanish where it is certain.

    A class that is more than 16 temperatures below the likeliest has a probability under 1e-7. Its distance d is
    replaced by 16 + log(1 + d - 16): that moves no probability by more than 1e-7, and where a softmax has
    underflowed to a gradient of exactly 0 there remains one that can lead a certain student back.

    Example
    -------
    >>> soft_targets(torch.tensor([[0.0, -3.0]]), temperature=3.0)  # sigmoid(1)
    tensor([[0.7311, 0.2689]])
    """
    logits = logits.float()
    below = (logits.amax(dim=-1, keepdim=True) - logits) / temperature
    bent = below.clamp(max=FLAT_FROM) + torch.log1p((below - FLAT_FROM).clamp(min=0))
    return torch.softmax(-bent, dim=-1)


def check_space(space: str) -> str:
    """Return ``space`` if it is one of ``SPACES``, else refuse it."""
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}, got {space!r}.")
    return space


def points_of(
    student: ModelOutput, teacher: TeacherOutput, space: str, temperature: float
) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """The student's points, a list of teachers' points, and the trust in each of these, all of one space.

    Shape
    -----
    Points [batch, D]. Soft targets: the teachers' mixture alone, trust 1. Embeddings: m teachers, trust [m, batch].
    """
    if space == "soft_targets":
        check_same_classes(student, teacher)
        mixture = teacher.mixture(temperature).detach()
        return soft_targets(student.logits, temperature), (mixture,), torch.ones_like(mixture[:, 0])[None]
    if student.embedding is None or len(teacher.embedding) != len(teacher):
        raise ValueError(
            f"space 'embedding' needs an embedding of the student and of each of the {len(teacher)} teachers, got "
            f"{'none' if student.embedding is None else 'one'} and {len(teacher.embedding)}. Use space 'soft_targets'."
        )
    return (
        student.embedding.float(),
        tuple(embedding.float().detach() for embedding in teacher.embedding),
        teacher.trust().detach(),
    )


def distances_between(points: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [batch, batch], and which pairs are apart; those that are not have distance 0 and no gradient.

    Example
    -------
    >>> distances_between(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    (tensor([[0., 5.],
            [5., 0.]]), tensor([[False,  True],
            [ True, False]]))
    """
    # Products instead of differences, whose memory would grow with batch^2 D; in double precision, since the distance
    # of near points is what remains when nearly equal numbers are subtracted. Autocast leaves doubles alone.
    centred = points.double() - points.double().mean(dim=0)
    products = centred @ centred.T
    squares = products.diagonal()
    squared = squares[:, None] + squares - 2 * products
    apart = squared.detach() > RESOLUTION**2 * torch.square(points.detach().double()).sum(dim=-1).mean()
    # The root's gradient is infinite at 0: it must not even be computed there.
    return (torch.where(apart, squared, 1.0).sqrt() * apart).to(points.dtype), apart
