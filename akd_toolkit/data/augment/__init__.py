"""Changes of the training sound, made while it is heard; nothing here is on the path of a test or a released file."""

import akd_toolkit.environment  # noqa: F401  (first, as it explains why SpeechBrain cannot be loaded)
from akd_toolkit.data.augment.added_noise import AddedNoise
from akd_toolkit.data.augment.base import Augmentation, FeatureAugmentation, WaveformAugmentation
from akd_toolkit.data.augment.batch import build_augmentations, change_batch
from akd_toolkit.data.augment.chunk_drop import ChunkDrop
from akd_toolkit.data.augment.frequency_drop import FrequencyDrop
from akd_toolkit.data.augment.mel_equalizer import MelEqualizer
from akd_toolkit.data.augment.mel_noise import MelNoise
from akd_toolkit.data.augment.mel_tempo import MelTempo
from akd_toolkit.data.augment.mel_warp import MelWarp
from akd_toolkit.data.augment.mixup import Mixup, build_mixup
from akd_toolkit.data.augment.noise_files import NoiseFiles
from akd_toolkit.data.augment.random_gain import RandomGain
from akd_toolkit.data.augment.spec_augment import SpecAugment
from akd_toolkit.data.augment.speed_change import SpeedChange

__all__ = [
    "AddedNoise",
    "Augmentation",
    "ChunkDrop",
    "FeatureAugmentation",
    "FrequencyDrop",
    "MelEqualizer",
    "MelNoise",
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
