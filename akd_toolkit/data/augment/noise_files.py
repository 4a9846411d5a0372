"""Recorded noise under the speech."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.augment.added_noise import SNR_DB, with_noise
from akd_toolkit.data.augment.base import WaveformAugmentation, check_range
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.registry import AUGMENTATIONS

RECENT_SAMPLES = 2**26  # 256 MB
RECENT: dict[Path, np.ndarray] = {}  # from the least recently used


@AUGMENTATIONS.register("noise_files")
class NoiseFiles(WaveformAugmentation):
    """A random stretch of a random recording of a folder, at a random level under the speech.

    Mixed as in ``added_noise``. A recording that is shorter than the utterance is repeated. The recordings
    read last stay in memory, up to 256 MB. Such a folder must hold nothing of the corpus: the audit does not read it.

    Source: Snyder, Chen & Povey 2015, "MUSAN: a music, speech, and noise corpus".

    Arguments
    ---------
    folder
        Holds sound files, at any depth.
    p
        Probability that an utterance is changed, in [0, 1].
    snr_db
        [low, high] of the speech's level over the noise's, dB, in [-10, 60]; drawn for each utterance.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If an option is out of range, or the folder holds no sound.

    Example
    -------
    >>> NoiseFiles(folder="no/such")
    Traceback (most recent call last):
    FileNotFoundError: folder no/such is not a folder; give a folder of recorded noise.
    """

    def __init__(self, folder: str, p: float = 0.5, snr_db: list[float] = (5.0, 25.0)):
        super().__init__(p)
        self.snr_db = check_range("snr_db", snr_db, *SNR_DB)
        # Sorted, so that a seed draws the same noise on every machine.
        self.files = find_sounds(folder, "folder", "give a folder of recorded noise")

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.zeros_like(waveforms)
        for row, count in zip(noise, num_samples.tolist()):
            recording = _recording(self.files[int(torch.randint(len(self.files), ()))])
            start = int(torch.randint(max(1, len(recording) - count + 1), ()))
            row[:count] = torch.from_numpy(np.resize(recording[start:], count))  # repeated where it is too short
        return with_noise(waveforms, num_samples, noise, self.snr_db), num_samples


def _recording(path: Path) -> np.ndarray:
    RECENT[path] = RECENT.pop(path) if path in RECENT else read_audio(path)  # last in the order
    while len(RECENT) > 1 and sum(map(len, RECENT.values())) > RECENT_SAMPLES:
        del RECENT[next(iter(RECENT))]
    return RECENT[path]
