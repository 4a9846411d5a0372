"""Augmentations of log-mels inside a student, during training only."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from akd_toolkit.data.augment.base import FeatureAugmentation
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel


@contextmanager
def changed_front_end(student: nn.Module, augmentations: Sequence[FeatureAugmentation]) -> Iterator[None]:
    """Within the ``with`` block, augment the student's log-mels in training mode; its state dict does not change."""
    found = log_mels(student)
    for module in found:
        module.changes = tuple(augmentations)
    try:
        yield
    finally:
        for module in found:
            module.changes = ()


def check_front_end(student: nn.Module, augmentations: Sequence[FeatureAugmentation]) -> None:
    """ValueError if the student computes no log-mels to augment."""
    if augmentations and not log_mels(student):
        raise ValueError(
            f"augment: {type(augmentations[0]).__name__} changes log-mels, and the student {type(student).__name__} "
            "has no LogMel or WhisperLogMel; take it out of augment, or choose another student."
        )


def log_mels(student: nn.Module) -> list[nn.Module]:
    """Modules of a student that compute log-mels."""
    return [module for module in student.modules() if isinstance(module, LogMel | WhisperLogMel)]
