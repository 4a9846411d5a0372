"""Augmentation of the training sound; it never acts on test windows or released students."""

import akd_toolkit.environment  # noqa: F401  (first, as it explains why SpeechBrain cannot be loaded)
from akd_toolkit.data.augment import log_mel, noise, waveform  # noqa: F401  (register their plugins)
from akd_toolkit.data.augment.base import (
    Augmentation,
    FeatureAugmentation,
    Mixup,
    WaveformAugmentation,
    build_augmentations,
    build_mixup,
    change_batch,
)

__all__ = [
    "Augmentation",
    "FeatureAugmentation",
    "Mixup",
    "WaveformAugmentation",
    "build_augmentations",
    "build_mixup",
    "change_batch",
]
