"""Losses: one file each, one value per utterance."""

from akd_toolkit.losses.base import Loss
from akd_toolkit.losses.cross_entropy import CrossEntropy
from akd_toolkit.losses.integrated_soft_targets import IntegratedSoftTargets
from akd_toolkit.losses.soft_target_kl import SoftTargetKL

__all__ = ["CrossEntropy", "IntegratedSoftTargets", "Loss", "SoftTargetKL"]
