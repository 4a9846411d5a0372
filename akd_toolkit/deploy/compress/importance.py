"""How much each number of a student matters: by its size, or by what the objective loses without it."""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn

from akd_toolkit.data.batches import Batch
from akd_toolkit.distill.objective import Objective

IMPORTANCES = ("norm", "taylor")


def by_norm(student: nn.Module) -> dict[str, Tensor]:
    """Square of every learned number, by the name of its tensor.

    Source: Li et al. 2017, "Pruning filters for efficient ConvNets"; squares, so that those of a group add up.

    Example
    -------
    >>> by_norm(nn.Linear(1, 1, bias=False).requires_grad_(False).apply(lambda m: m.weight.fill_(-3.0)))
    {'weight': tensor([[9.]])}
    """
    return {name: parameter.detach().square() for name, parameter in student.named_parameters()}


def by_taylor(student: nn.Module, objective: Objective, batches: Iterable[Batch], count: int = 16) -> dict[str, Tensor]:
    """By how much the objective on training speech would move if a number were 0, to first order.

    score = sum over batches of (number * d objective / d number)^2

    Source: Molchanov et al. 2019, "Importance estimation for neural network pruning", equation (8). The student answers
    in evaluation mode, so that neither dropout nor its statistics move; weights of the objective's own are as at the
    start of a training.

    Arguments
    ---------
    objective, batches
        Of the run's training; batches hold training speakers alone.
    count
        How many batches to look at, >= 1.
    """
    named = dict(student.eval().named_parameters())
    scores = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for batch in islice(batches, count):
        output = student(batch.waveforms, batch.lengths)
        total = objective(output, batch.teacher, batch.labels, batch.attributes).total
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients):
            if gradient is not None:
                scores[name] += (named[name] * gradient).detach().square()
    return scores
