"""Distillation of relations between probabilities instead of the probabilities themselves."""

import torch
from torch import Tensor

from akd_toolkit.distill.losses.base import Loss, check_not_negative, check_positive, check_same_classes
from akd_toolkit.distill.losses.relations import RESOLUTION, soft_targets
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("dist")
class Dist(Loss):
    """Correlation of student and teachers between classes and within each class (DIST).

    p = softmax(logits / T) of the student, q = the trusted mixture of the teachers' p
    inter[b] = 1 - Pearson over c of (p[b, c], q[b, c]),   intra(c) = 1 - Pearson over b of (p[b, c], q[b, c])
    loss = beta inter + gamma mean over c of intra

    With vectors centred and of length 1, 1 - Pearson(u, v) = sum of (u - v)^2 / 2. For intra(c) that sum is over
    utterances, so each utterance has a part of its own, whose mean over the batch is the paper's intra-class term:

    intra[b] = batch / classes sum_c (u[b, c] - v[b, c])^2 / 2

    There is no factor T^2: a correlation does not shrink as T grows. Where the teachers' values are all equal, a
    correlation counts as loss 0. A student's centred vector shorter than 1e-4 of its length before centring is divided
    by that bound: its loss goes to 1/2 continuously, with a finite gradient. With two classes the inter-class
    correlation is 1 or -1 and has no gradient.

    Source: Huang et al. 2022 (DIST, "Knowledge distillation from a stronger teacher"), which has one teacher.
    Shape: logits [batch, classes] and [m, batch, classes] -> [batch], >= 0; the mean is at most 2 (beta + gamma).

    Arguments
    ---------
    beta, gamma
        Weights >= 0 of the inter-class and of the intra-class relation.

    Example
    -------
    >>> student = ModelOutput(torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    >>> teacher = TeacherOutput(torch.tensor([[[0.0, 2.0], [2.0, 0.0]]]))  # every correlation is -1
    >>> Dist(beta=1.0, gamma=1.0)(student, teacher, None)
    tensor([4.0000, 4.0000])
    """

    def __init__(self, beta: float = 1.0, gamma: float = 1.0, temperature: float = 4.0):
        super().__init__()
        self.beta = check_not_negative("beta", beta)
        self.gamma = check_not_negative("gamma", gamma)
        self.temperature = check_positive("temperature", temperature)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_same_classes(student, teacher)
        probs = soft_targets(student.logits, self.temperature)  # [batch, classes]
        mixture = teacher.mixture(self.temperature).detach()
        inter = _discorrelation(probs, mixture, dim=1).sum(dim=1)
        intra = len(probs) * _discorrelation(probs, mixture, dim=0).mean(dim=1)
        return self.beta * inter + self.gamma * intra


def _discorrelation(student: Tensor, teacher: Tensor, dim: int) -> Tensor:
    """What each element adds to 1 - Pearson(student, teacher) along ``dim``, >= 0, in the tensors' shape."""
    student, _ = _standardised(student, dim)
    teacher, varies = _standardised(teacher, dim)
    return varies * torch.square(student - teacher) / 2


def _standardised(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Vectors along ``dim`` centred and of length 1, and which of them vary at all."""
    centred = values - values.mean(dim=dim, keepdim=True)
    bound = RESOLUTION**2 * torch.square(values.detach()).sum(dim=dim, keepdim=True)
    bound = bound.clamp(min=1e-30)  # squares of smaller numbers leave the range of float32
    squared = torch.square(centred).sum(dim=dim, keepdim=True)
    return centred / torch.maximum(squared, bound).sqrt(), squared > bound
