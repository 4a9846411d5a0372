"""Sound from anywhere - a file, bytes, an array - as a mono waveform that comes piece by piece."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ, mixed, opposite_channel
from akd_toolkit.data.reader import SoundFile, block_samples, check_rate, check_samples, open_sound_file
from akd_toolkit.inference.arrays import samples_of, scaled, whole_rate
from akd_toolkit.inference.resampler import Resampler

ALLOWED = "a path, the bytes of a sound file, an open binary file, an array or tensor of samples, or a list of these"


class ArraySound:
    """Samples in memory, which are read as those of a file are."""

    def __init__(self, name: str, sample_rate_hz: int, samples: np.ndarray):
        self.name, self.sample_rate_hz, self._samples = name, sample_rate_hz, samples
        self.num_samples, self.channels = samples.shape
        check_rate(sample_rate_hz, name)

    def blocks(self) -> Iterator[np.ndarray]:
        size = block_samples(self.sample_rate_hz, self.channels)
        for start in range(0, self.num_samples, size):
            block = scaled(self._samples[start : start + size])
            check_samples(block, self.name)
            yield block


class Sound:
    """One sound whose samples are read when they are needed, and checked as ``read_audio`` checks them.

    Arguments
    ---------
    source
        An open file, or samples.
    """

    def __init__(self, source: SoundFile | ArraySound):
        self.name, self.sample_rate_hz, self.num_samples = source.name, source.sample_rate_hz, source.num_samples
        self.samples_read = 0  # of each channel
        self._source = source

    @property
    def duration_s(self) -> float:
        """Seconds that have been read."""
        return self.samples_read / self.sample_rate_hz

    def waveform(self, to_hz: int = SAMPLE_RATE_HZ) -> Iterator[np.ndarray]:
        """One channel, resampled to ``to_hz``: float32 [samples] in [-1, 1], piece by piece; to be read once.

        Together the pieces are exactly ``read_audio`` of the same sound. A file of several channels is read twice,
        because only at its end it is known whether they cancel each other.

        Raises
        ------
        ValueError
            At the piece where it shows: samples that are missing, not finite or above a peak of 2; and at the end, if
            all was shorter than 0.1 s.
        """
        resampler = Resampler(self.sample_rate_hz, to_hz)
        channel = opposite_channel(self._source.blocks()) if self._source.channels > 1 else None
        for block in self._source.blocks():
            self.samples_read += len(block)
            yield np.clip(resampler.push(mixed(block, channel)), -1.0, 1.0)
        if math.ceil(self.samples_read * to_hz / self.sample_rate_hz) < math.ceil(MIN_SAMPLES * to_hz / SAMPLE_RATE_HZ):
            raise ValueError(
                f"{self.name} holds {self.samples_read} samples ({self.duration_s:.4f} s); at least "
                f"{MIN_SAMPLES / SAMPLE_RATE_HZ} s are needed. Give a longer sound."
            )
        yield np.clip(resampler.finish(), -1.0, 1.0)


@contextmanager
def open_sound(x, sample_rate_hz: int | None = None, name: str | None = None) -> Iterator[Sound]:
    """Open anything that holds one sound.

    Arguments
    ---------
    x
        A path, the bytes of a sound file or an open binary file, as ``open_sound_file`` takes them;
        or samples, as a NumPy array or a tensor: [samples], [channels, samples] or [samples, channels] with one or
        two channels, floats in [-1, 1] or whole numbers of the types uint8, int16 or int32.
    sample_rate_hz
        Of the samples of an array; 16 000 if None. A file says itself what it has.
    name
        Of the sound in messages; by default the path, or what it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If ``x`` is something else.
    ValueError
        If it cannot be read as a sound, or ``sample_rate_hz`` is not what the file says.
    """
    if isinstance(x, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(x, "read"):
        with open_sound_file(x, name) as file:
            if sample_rate_hz not in (None, file.sample_rate_hz):
                raise ValueError(
                    f"{file.name} says that it has {file.sample_rate_hz} samples a second, and sample_rate_hz is "
                    f"{sample_rate_hz}; leave it out for a file."
                )
            yield Sound(file)
    elif hasattr(x, "__array__") and not np.isscalar(x):
        name, rate = name or "the waveform", whole_rate(SAMPLE_RATE_HZ if sample_rate_hz is None else sample_rate_hz)
        yield Sound(ArraySound(name, rate, samples_of(x, name)))
    else:
        raise TypeError(f"{name or 'the sound'} is a {type(x).__name__}; give {ALLOWED}.")
