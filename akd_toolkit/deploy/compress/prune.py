"""The step that removes channels, and how important each number of a student is."""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn

from akd_toolkit.data.batches import Batch
from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work, check_count, check_rate
from akd_toolkit.deploy.compress.pruning import groups_of, narrow_options, narrowed
from akd_toolkit.distill.objective import Objective
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.registry import STUDENTS

IMPORTANCES = ("norm", "taylor")


@COMPRESSIONS.register("prune")
class Prune(Compression):
    """Remove the least important channels whole, and train on under the same objective.

    The result is the same kind of student with smaller options; it loads and exports as any other.

    Source: Li et al. 2017, "Pruning filters for efficient ConvNets"; Molchanov et al. 2019, "Importance estimation for
    neural network pruning". Channels that must go together are grouped as in Fang et al. 2023, "DepGraph: towards any
    structural pruning", but listed for each student (``pruning.py``).

    Arguments
    ---------
    share
        Share of each width to remove, in [0, 1); one number, or a mapping from options such as
        ``{channels: 0.25, dim: 0.5}``.
    importance
        ``norm`` (squared weights) or ``taylor`` (what the objective loses on training speech).
    multiple
        Widths that shrink become multiples of this, >= 1; 8 suits vector units.
    epochs
        Epochs of training afterwards, >= 0.
    lr
        Peak of the learning rate, in (0, 1].

    Example
    -------
    >>> Prune(share=1.0)
    Traceback (most recent call last):
    ValueError: share must be a number in [0, 1), or a mapping from options to such numbers, got 1.0.
    """

    example_options = {"share": 0.5, "multiple": 4}
    changes_student = True

    def __init__(self, share=0.25, importance: str = "norm", multiple: int = 8, epochs: int = 0, lr: float = 0.001):
        for value in share.values() if isinstance(share, dict) else [share]:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"share must be a number in [0, 1), or a mapping from options to such numbers, got {share}."
                )
        if importance not in IMPORTANCES:
            raise ValueError(f"importance must be one of {', '.join(IMPORTANCES)}, got '{importance}'.")
        check_count("multiple", multiple, 1)
        check_count("epochs", epochs, 0)
        check_rate(lr)
        self.share, self.importance, self.multiple = share, importance, multiple
        self.epochs, self.lr = epochs, lr

    def check(self, spec: dict) -> None:
        student = STUDENTS.build(**spec, num_classes=2)
        narrow_options(spec, groups_of(student, spec["name"]), self.share, self.multiple)

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        if self.importance == "taylor":
            parts = build_parts(work.source.training(work.number, work.spec), work.student)
            scores = by_taylor(work.student, parts.objective, parts.data.train_loader())
        else:
            scores = by_norm(work.student)
        student, spec = narrowed(work.student, work.spec, self.share, scores, self.multiple)
        return work.train(student, spec, self.epochs, self.lr), spec


def by_norm(student: nn.Module) -> dict[str, Tensor]:
    """Square of every learned number, by the name of its tensor.

    Source: Li et al. 2017; squares, so that those of a group add up.

    Example
    -------
    >>> by_norm(nn.Linear(1, 1, bias=False).requires_grad_(False).apply(lambda m: m.weight.fill_(-3.0)))
    {'weight': tensor([[9.]])}
    """
    return {name: parameter.detach().square() for name, parameter in student.named_parameters()}


def by_taylor(student: nn.Module, objective: Objective, batches: Iterable[Batch], count: int = 16) -> dict[str, Tensor]:
    """How much the objective on ``count`` training batches would change if a number were 0, to first order.

    score = sum over batches of (number * d objective / d number)^2

    Source: Molchanov et al. 2019, equation (8). The student is in evaluation mode, so that neither dropout nor running
    statistics change; the objective's own weights are those at the start of training.
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
