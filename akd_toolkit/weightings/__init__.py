"""Weightings: per utterance, which teacher to trust."""

from akd_toolkit.weightings.adapter import Adapter
from akd_toolkit.weightings.base import Weighting
from akd_toolkit.weightings.uniform import Uniform

__all__ = ["Adapter", "Uniform", "Weighting"]
