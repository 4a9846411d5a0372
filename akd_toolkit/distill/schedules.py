"""Schedules: how a weight or a temperature changes during training."""

import math

from akd_toolkit.registry import SCHEDULES


class Schedule:
    """A number that depends on the share of training that is done, and on nothing else, so that a run can be resumed.

    Any number that a loss, gate or weighting takes, its ``weight`` included, may be given in YAML as
    ``{name: linear, start: 4.0, end: 1.0}``.

    Shape
    -----
    (progress in [0, 1]) -> a number.
    """

    example_options: dict = {}

    def __call__(self, progress: float) -> float:
        raise NotImplementedError


@SCHEDULES.register("constant")
class Constant(Schedule):
    """The same number all the time, as if the number itself were given.

    Source: the plain setting of Hinton, Vinyals & Dean 2015.

    Example
    -------
    >>> Constant(value=2.0)(0.7)
    2.0
    """

    example_options = {"value": 1.0}

    def __init__(self, value: float):
        self.value = value

    def __call__(self, progress: float) -> float:
        return self.value


@SCHEDULES.register("linear")
class Linear(Schedule):
    """From ``start`` to ``end`` along a straight line: value = start + (end - start) progress.

    Source: Jafari et al. 2021 ("Annealing knowledge distillation"), section 3, for temperatures.

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


@SCHEDULES.register("cosine")
class Cosine(Schedule):
    """From ``start`` to ``end`` along half a cosine: value = end + (start - end) (1 + cos(pi progress)) / 2.

    Source: Loshchilov & Hutter 2017 (SGDR), equation (5), without restarts.

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


@SCHEDULES.register("warmup")
class Warmup(Schedule):
    """From 0 along a straight line to ``value``, then constant: value min(1, progress / until), ``until`` in (0, 1].

    Source: Zhao et al. 2022 (DKD), training details: over the first 20 epochs; of 40 that is an ``until`` of 0.5.

    Example
    -------
    >>> Warmup(value=8.0, until=0.5)(0.25), Warmup(value=8.0, until=0.5)(0.75)
    (4.0, 8.0)
    """

    example_options = {"value": 1.0}

    def __init__(self, value: float, until: float = 0.5):
        if not 0 < until <= 1:
            raise ValueError(f"until must be in (0, 1], got {until}.")
        self.value, self.until = value, until

    def __call__(self, progress: float) -> float:
        return self.value * min(1.0, progress / self.until)
