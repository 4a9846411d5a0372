"""Schedules: how a weight or a temperature moves while a student is trained."""

from akd_toolkit.schedules.base import Schedule
from akd_toolkit.schedules.constant import Constant
from akd_toolkit.schedules.cosine import Cosine
from akd_toolkit.schedules.linear import Linear
from akd_toolkit.schedules.warmup import Warmup

__all__ = ["Constant", "Cosine", "Linear", "Schedule", "Warmup"]
