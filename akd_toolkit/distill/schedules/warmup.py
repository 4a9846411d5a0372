"""From 0 to a number, and then no further."""

from akd_toolkit.distill.schedules.base import Schedule
from akd_toolkit.registry import SCHEDULES


@SCHEDULES.register("warmup")
class Warmup(Schedule):
    """From 0 along a straight line to ``value`` after the share ``until``, then constant.

    value(progress) = value min(1, progress / until)

    Source: Zhao et al. 2022 (DKD), training details: over the first 20 epochs; of 40 that is an ``until`` of 0.5.

    Arguments
    ---------
    value
        The number that is reached.
    until
        Share of training after which it is reached, in (0, 1].

    Raises
    ------
    ValueError
        If ``until`` is outside (0, 1].

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
