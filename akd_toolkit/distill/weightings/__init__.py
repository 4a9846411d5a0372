"""Weightings: per utterance, which teacher to trust."""

from akd_toolkit.distill.weightings.adapter import Adapter
from akd_toolkit.distill.weightings.base import Weighting
from akd_toolkit.distill.weightings.best_single import BestSingle
from akd_toolkit.distill.weightings.uniform import Uniform
from akd_toolkit.distill.weightings.validation_accuracy import ValidationAccuracy

__all__ = ["Adapter", "BestSingle", "Uniform", "ValidationAccuracy", "Weighting"]
