"""A gate that closes on speech unlike the labelled speech."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_distance")
class TeacherDistance(Gate):
    """Open where the teachers' embeddings are near the centre of the labelled training speech; needs no label.

    d[b] = sum_t w[t, b] sqrt(mean_k e[t, b, k]^2),   gate[b] = 1 if d[b] <= limit else 0

    e is the embedding of teacher t, whose values have mean 0 and a deviation of at most 1 over the labelled training
    speakers, so that d is near 1 for most of their utterances. A source of unlabelled speech has its own mean and
    deviation instead if its ``standardise`` is 1: the gate then leaves out its unusual utterances, and with
    ``standardise: 0`` those far from the labelled corpus.

    Source: ours, after Lee, Lee, Lee & Shin 2018, "A simple unified framework for detecting out-of-distribution
    samples", who take the distance from class means by the full covariance.

    Arguments
    ---------
    limit
        Largest distance at which the gate is open, > 0, in deviations of the labelled speech.

    Raises
    ------
    ValueError
        If ``limit`` is not positive.

    Example
    -------
    >>> near, far = [0.6, 0.8, 0.0, 0.0], [2.0, -2.0, 2.0, 2.0]  # root mean squares 0.5 and 2
    >>> teacher = TeacherOutput(torch.zeros(1, 2, 3), embedding=(torch.tensor([near, far]),))
    >>> TeacherDistance()(ModelOutput(torch.zeros(2, 3)), teacher, labels=None)
    tensor([1., 0.])
    """

    needs_truth = False
    reads = ("embedding",)

    def __init__(self, limit: float = 1.2):
        super().__init__()
        if not limit > 0:
            raise ValueError(f"limit must be positive, got {limit}.")
        self.limit = limit

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        distances = torch.stack([each.float().square().mean(dim=-1).sqrt() for each in teacher.embedding])
        return ((teacher.trust() * distances).sum(dim=0) <= self.limit).float()
