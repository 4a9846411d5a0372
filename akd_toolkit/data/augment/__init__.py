"""Augmentation of the training sound; it never acts on test windows or released students."""

import akd_toolkit.environment  # noqa: F401  (first, as it explains why SpeechBrain cannot be loaded)
from akd_toolkit.data.augment.base import (
    Augmentation,
    FeatureAugmentation,
    Mixup,
    WaveformAugmentation,
    build_augmentations,
    build_mixup,
    change_batch,
)
from akd_toolkit.data.augment.log_mel import MelEqualizer, MelNoise, MelSilence, MelTempo, MelWarp, SpecAugment
from akd_toolkit.data.augment.noise import AddedNoise, NoiseFiles
from akd_toolkit.data.augment.waveform import ChunkDrop, FrequencyDrop, RandomGain, SpeedChange

__all__ = [
    "AddedNoise",
    "Augmentation",
    "ChunkDrop",
    "FeatureAugmentation",
    "FrequencyDrop",
    "MelEqualizer",
    "MelNoise",
    "MelSilence",
    "MelTempo",
    "MelWarp",
    "Mixup",
    "NoiseFiles",
    "RandomGain",
    "SpecAugment",
    "SpeedChange",
    "WaveformAugmentation",
    "build_augmentations",
    "build_mixup",
    "change_batch",
]
