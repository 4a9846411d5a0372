"""Parameter groups and learning-rate schedule."""

import math
from collections.abc import Callable

from torch import nn


def parameter_groups(student: nn.Module, objective: nn.Module, opt_class: Callable) -> list[dict]:
    """Parameter groups for ``opt_class``.

    A student with ``parameter_groups`` sets its own learning rates, as shares of ``lr`` of ``opt_class``. For others,
    norms and biases have no weight decay. Weights of the objective come last.
    """
    if hasattr(student, "parameter_groups"):
        groups = student.parameter_groups(opt_class.keywords["lr"])
        if getattr(student, "regressor", None) is not None:  # added by ``add_attributes``
            groups += [{"params": list(student.regressor.parameters())}]
    else:
        groups = [
            {"params": [p for p in student.parameters() if p.dim() > 1]},
            {"params": [p for p in student.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ]
    return groups + ([{"params": list(objective.parameters())}] if list(objective.parameters()) else [])


def warmup_cosine(step: int, total: int, warmup: float) -> float:
    """Share of the peak learning rate after ``step`` of ``total`` steps.

    Example
    -------
    >>> [round(warmup_cosine(step, total=10, warmup=0.2), 3) for step in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    done = step / total
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))
