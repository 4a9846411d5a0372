"""Noise added to the speech: generated, or recorded."""

from pathlib import Path

import numpy as np
import torch
from scipy.fft import next_fast_len
from speechbrain.augment.time_domain import AddNoise
from torch import Tensor

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.augment.base import WaveformAugmentation, check_range, uniform
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.outputs import frame_mask
from akd_toolkit.registry import AUGMENTATIONS

COLOURS = {"white": (0.0, 0.0), "pink": (0.5, 0.5), "brown": (1.0, 1.0), "any": (0.0, 1.0)}  # amplitude ~ f^-slope
LOWEST_HZ = 50.0  # below this, coloured noise would waste its power
SNR_DB = (-10, 60)  # allowed range
CACHE_SAMPLES = 2**26  # 256 MB
CACHE: dict[Path, np.ndarray] = {}  # recordings of noise, least recently used first


@AUGMENTATIONS.register("added_noise")
class AddedNoise(WaveformAugmentation):
    """White, pink or brown noise at a random level.

    y = (1 - f) x + f (rms of x / rms of n) n,   f = 1 / (1 + 10^(SNR / 20)),   |N(hz)| ~ hz^-slope above 50 Hz

    Slope 0 is white, 1/2 pink (3 dB per octave), 1 brown (6 dB per octave). The speech is attenuated as noise is added,
    so that the level stays about the same. Mixing is SpeechBrain's ``AddNoise``, with noise generated per utterance:
    its own would count the noise of the padding.

    Source: Snyder et al. 2018 ("X-vectors"), who train on noise at 0 to 15 dB; theirs is recorded (``noise_files``).

    Arguments
    ---------
    snr_db
        [low, high] of the signal-to-noise ratio, dB, in [-10, 60]; drawn for each utterance.
    colour
        ``white``, ``pink``, ``brown``, or ``any``: a slope between white and brown for each utterance.

    Example
    -------
    >>> speech = torch.ones(1, 16000)
    >>> noisy, _ = AddedNoise(p=1.0, snr_db=[20, 20])(speech, torch.tensor([16000]))
    >>> noise = noisy - noisy.mean()
    >>> round(float(20 * torch.log10(noisy.mean() / noise.square().mean().sqrt())))
    20
    """

    def __init__(self, p: float = 0.5, snr_db: list[float] = (5.0, 25.0), colour: str = "any"):
        super().__init__(p)
        self.snr_db = check_range("snr_db", snr_db, *SNR_DB)
        if colour not in COLOURS:
            raise ValueError(f"colour must be one of {', '.join(COLOURS)}, got {colour!r}.")
        self.slopes = COLOURS[colour]

    def change(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        noise = coloured_noise(uniform(*self.slopes, len(waveforms)), waveforms.shape[1])
        return with_noise(waveforms, num_samples, noise, self.snr_db), num_samples


@AUGMENTATIONS.register("noise_files")
class NoiseFiles(WaveformAugmentation):
    """A random part of a random recording of a folder, at a random level.

    Mixed as in ``added_noise``. A recording shorter than the utterance is repeated. Recently read recordings stay in
    memory, up to 256 MB. The folder must not hold recordings of the corpus: the audit does not check it.

    Source: Snyder, Chen & Povey 2015, "MUSAN: a music, speech, and noise corpus".

    Arguments
    ---------
    folder
        Holds sound files, at any depth.
    snr_db
        [low, high] of the signal-to-noise ratio, dB, in [-10, 60]; drawn for each utterance.

    FileNotFoundError if there is no such folder; ValueError if the folder holds no sound.

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
            row[:count] = torch.from_numpy(np.resize(recording[start:], count))  # repeated if too short
        return with_noise(waveforms, num_samples, noise, self.snr_db), num_samples


def _recording(path: Path) -> np.ndarray:
    CACHE[path] = CACHE.pop(path) if path in CACHE else read_audio(path)
    while len(CACHE) > 1 and sum(map(len, CACHE.values())) > CACHE_SAMPLES:
        del CACHE[next(iter(CACHE))]
    return CACHE[path]


def coloured_noise(slopes: Tensor, num_samples: int) -> Tensor:
    """Gaussian noise whose amplitude falls with hz^-slope above 50 Hz, one row per slope: [batch, num_samples]."""
    total = next_fast_len(num_samples, real=True)
    white = torch.randn(len(slopes), total)
    if not slopes.any():
        return white[:, :num_samples]
    hz = torch.fft.rfftfreq(total, 1 / SAMPLE_RATE_HZ)
    shape = torch.where(hz < LOWEST_HZ, 0.0, (hz.clamp(min=LOWEST_HZ) / 1000) ** -slopes[:, None])
    return torch.fft.irfft(torch.fft.rfft(white) * shape, total)[:, :num_samples]


def with_noise(waveforms: Tensor, num_samples: Tensor, noise: Tensor, snr_db: tuple[float, float]) -> Tensor:
    """Waveforms with noise of the same shape, at a level drawn for each."""
    noise = noise * frame_mask(num_samples, waveforms.shape[1])
    add = AddNoise(snr_low=snr_db[0], snr_high=snr_db[1], normalize=True, noise_funct=lambda like: noise)
    return add(waveforms, num_samples / waveforms.shape[1])
