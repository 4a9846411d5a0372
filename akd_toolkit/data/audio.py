"""Audio files as 16 kHz mono waveforms."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from akd_toolkit.data.reader import open_sound_file

SAMPLE_RATE_HZ = 16000
MIN_SAMPLES = 1600  # 0.1 s: the shortest waveform that a student accepts
CANCELLED = 0.01  # of a channel's energy: 20 dB below it


@dataclass(frozen=True)
class Recording:
    """The stored samples of a file, [num_samples, channels] float32 in [-1, 1], checked but not converted."""

    path: Path
    samples: np.ndarray
    sample_rate_hz: int

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    @property
    def sha256(self) -> str:
        """SHA-256 of the samples as 16-bit little-endian PCM: the same for a WAV and its FLAC copy."""
        pcm = np.clip(np.round(self.samples * 32768.0), -32768, 32767).astype("<i2")
        return hashlib.sha256(pcm.tobytes()).hexdigest()

    def waveform(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
        """One channel (see ``mixed``), resampled to ``sample_rate_hz``: float32 [samples] in [-1, 1]."""
        mono = mixed(self.samples, opposite_channel([self.samples]))
        num_samples = math.ceil(len(mono) * sample_rate_hz / self.sample_rate_hz)
        min_samples = math.ceil(MIN_SAMPLES * sample_rate_hz / SAMPLE_RATE_HZ)
        if num_samples < min_samples:
            raise ValueError(
                f"{self.path} holds {len(mono)} samples ({self.duration_s:.4f} s); at least "
                f"{MIN_SAMPLES / SAMPLE_RATE_HZ} s are needed. Remove the file or record it again."
            )
        if not mono.any():
            raise ValueError(f"{self.path} holds only zeros; speech is needed. Remove the file or record it again.")
        if self.sample_rate_hz != sample_rate_hz:
            mono = soxr.resample(np.ascontiguousarray(mono), self.sample_rate_hz, sample_rate_hz)
        return np.clip(mono, -1.0, 1.0).astype(np.float32, copy=False)


def opposite_channel(blocks: Iterable[np.ndarray]) -> int | None:
    """The channel to use if the channels cancel each other, else None.

    They do if the energy of their mean is below 1 % of the loudest channel's (opposite phase, from a wrongly wired
    cable). Then it is the first channel with at least half of the energy of the loudest.
    """
    products = np.zeros((1, 1))  # of every two channels, summed over the samples
    for block in blocks:
        if block.shape[1] == 1:
            return None
        products = products + (block.T @ block).astype(np.float64)
    energy = np.diagonal(products)
    cancelled = products.mean() < CANCELLED * energy.max()  # products.mean() is the energy of the mean
    return int(np.argmax(energy >= 0.5 * energy.max())) if cancelled else None


def mixed(block: np.ndarray, channel: int | None) -> np.ndarray:
    """[samples, channels] as [samples]: the mean of the channels, or one of them."""
    if channel is None and block.shape[1] > 1:
        return block.mean(axis=1)
    return block[:, channel or 0]


def read_audio(path, start: int = 0, stop: int | None = None, sample_rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Read a file, or a part of it, as a mono waveform at ``sample_rate_hz``: [samples], float32 in [-1, 1].

    Other sampling rates are resampled (soxr) and channels are averaged (see ``mixed``). ``path`` is anything that
    ``open_sound_file`` takes; ``start`` and ``stop`` are the first sample and the one after the last, at the file's own
    sampling rate, None for the end. FileNotFoundError if there is no such file; ValueError if the file is empty, not
    audio, truncated, shorter than 0.1 s, silent (all zeros), or not finite.

    Example
    -------
    >>> import soundfile, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "half.wav"
    >>> soundfile.write(path, np.full(3200, 0.5), 16000)
    >>> read_audio(path).shape, float(read_audio(path, start=1600)[0])
    ((3200,), 0.5)
    """
    return read_recording(path, start, stop).waveform(sample_rate_hz)


def read_recording(path, start: int = 0, stop: int | None = None) -> Recording:
    """Read the stored samples of a file, or a part of it, and check that they are complete and finite."""
    with open_sound_file(path) as sound:
        end = sound.num_samples if stop is None else stop
        if not 0 <= start < end <= sound.num_samples:
            raise ValueError(
                f"{path}: samples {start} to {end} were requested, and the file holds {sound.num_samples}. "
                "Get it again, or run prepare again if it was replaced."
            )
        blocks = list(sound.blocks(start, end))
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return Recording(Path(path), samples, sound.sample_rate_hz)


def window_starts(total: int, window: int, step: int) -> list[int]:
    """Where windows begin that cover ``total`` samples: every ``step``, the last one ending with the sound.

    Example
    -------
    >>> window_starts(5, window=2, step=2), window_starts(1, window=2, step=2)
    ([0, 2, 3], [0])
    """
    last = max(0, total - window)
    return [*range(0, last, step), last]
