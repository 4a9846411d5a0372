"""No schedule at all."""

from akd_toolkit.distill.schedules.base import Schedule
from akd_toolkit.registry import SCHEDULES


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
