"""Schedules: how a weight or a temperature moves while a student is trained."""

from akd_toolkit.distill.schedules.base import Schedule
from akd_toolkit.distill.schedules.constant import Constant
from akd_toolkit.distill.schedules.cosine import Cosine
from akd_toolkit.distill.schedules.linear import Linear
from akd_toolkit.distill.schedules.warmup import Warmup

__all__ = ["Constant", "Cosine", "Linear", "Schedule", "Warmup"]
