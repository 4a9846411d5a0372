"""From one number to another along half a cosine."""

import math

from akd_toolkit.distill.schedules.base import Schedule
from akd_toolkit.registry import SCHEDULES


@SCHEDULES.register("cosine")
class Cosine(Schedule):
    """From ``start`` to ``end`` along half a cosine: value = end + (start - end) (1 + cos(pi progress)) / 2.

    Source: Loshchilov & Hutter 2017 (SGDR), equation (5), without restarts.

    Arguments
    ---------
    start, end
        The numbers at the first step and at the last.

    Example
    -------
    >>> round(Cosine(start=1.0, end=0.0)(0.25), 4)  # (1 + cos(pi / 4)) / 2
    0.8536
    """

    example_options = {"start": 1.0, "end": 0.0}

    def __init__(self, start: float, end: float):
        self.start, self.end = start, end

    def __call__(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2
