"""From one number to another along a straight line."""

from akd_toolkit.distill.schedules.base import Schedule
from akd_toolkit.registry import SCHEDULES


@SCHEDULES.register("linear")
class Linear(Schedule):
    """From ``start`` to ``end`` along a straight line: value = start + (end - start) progress.

    Source: Jafari et al. 2021 ("Annealing knowledge distillation"), section 3, for temperatures.

    Arguments
    ---------
    start, end
        The numbers at the first step and at the last.

    Example
    -------
    >>> Linear(start=4.0, end=1.0)(0.5)
    2.5
    """

    example_options = {"start": 4.0, "end": 1.0}

    def __init__(self, start: float, end: float):
        self.start, self.end = start, end

    def __call__(self, progress: float) -> float:
        return self.start + (self.end - self.start) * progress
