"""Sound piece by piece: from a file, bytes or an array, resampled, without long pauses, cut into windows."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import soxr

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ, mixed, opposite_channel
from akd_toolkit.data.reader import block_samples, check_rate, check_samples, open_sound_file

SOURCES = (
    "a path, the bytes of a sound file, an open binary file, an array or tensor of samples, a dict with array and "
    "sampling_rate, or a list of these"
)
FULL_SCALE = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}  # type -> zero, and distance of 1.0
MAX_CHANNELS = 2  # of an array; more would most often be a batch
LONGEST_S = 2.0  # pauses up to this are kept
KEPT_S = 0.1  # of a longer pause, at each side next to speech


class Resampler:
    """Resamples a stream with soxr, to the samples that ``read_audio`` makes of the whole."""

    def __init__(self, from_hz: int, to_hz: int):
        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def push(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """The outputs [samples] that are now known, often none for a short piece."""
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        return samples if self._stream is None else self._stream.resample_chunk(samples, last=last)


def resampled(pieces: Iterator[np.ndarray], from_hz: int, to_hz: int) -> Iterator[np.ndarray]:
    """The same sound at another rate, in [-1, 1], piece by piece."""
    resampler = Resampler(from_hz, to_hz)
    for piece in pieces:
        yield np.clip(resampler.push(piece), -1.0, 1.0)
    yield np.clip(resampler.push(np.empty(0), last=True), -1.0, 1.0)


def scaled(samples: np.ndarray) -> np.ndarray:
    """Any sample type as float32 whose full scale is 1.

    Example
    -------
    >>> scaled(np.array([0, 128, 192], np.uint8)), scaled(np.array([-32768, 8192], np.int16))
    (array([-1. ,  0. ,  0.5], dtype=float32), array([-1.  ,  0.25], dtype=float32))
    """
    zero, one = FULL_SCALE.get(samples.dtype.name, (0, 1))
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused later
        samples = samples.astype(np.float32)
    return (samples - np.float32(zero)) / np.float32(one) if one != 1 else samples


def check_sample_type(samples: np.ndarray, name: str) -> None:
    """Raise ValueError for an array that holds neither floats nor uint8, int16 or int32."""
    kind, known = samples.dtype, ", ".join(FULL_SCALE)
    if kind.kind != "f" and kind.name not in FULL_SCALE:
        hint = " (16-bit samples: .astype(np.int16))" if kind.kind in "iu" else ""
        raise ValueError(f"{name} holds {kind.name}; give floats in [-1, 1], or {known} as sound cards do{hint}.")


@dataclass
class Sound:
    """One sound whose samples are read when they are needed; see ``open_sound``."""

    name: str
    sample_rate_hz: int
    num_samples: int
    channels: int
    blocks: Callable[[], Iterator[np.ndarray]]  # all samples at each call, [samples, channels] float32 each
    samples_read: int = 0  # of each channel

    @property
    def duration_s(self) -> float:
        """Seconds that have been read."""
        return self.samples_read / self.sample_rate_hz

    def waveform(self, to_hz: int = SAMPLE_RATE_HZ) -> Iterator[np.ndarray]:
        """One channel, resampled to ``to_hz``: float32 [samples] in [-1, 1], piece by piece; can be read once.

        Together the pieces are exactly ``read_audio`` of the same sound. A file of several channels is read twice,
        because only at its end it is known whether they cancel each other. ValueError for samples that are missing,
        not finite or above a peak of 2, and for a sound shorter than 0.1 s.
        """
        channel = opposite_channel(self.blocks()) if self.channels > 1 else None
        yield from resampled(self._mono(channel), self.sample_rate_hz, to_hz)

    def _mono(self, channel: int | None) -> Iterator[np.ndarray]:
        for block in self.blocks():
            self.samples_read += len(block)
            yield mixed(block, channel)
        if math.ceil(self.samples_read * SAMPLE_RATE_HZ / self.sample_rate_hz) < MIN_SAMPLES:
            raise ValueError(
                f"{self.name} holds {self.samples_read} samples ({self.duration_s:.4f} s); at least "
                f"{MIN_SAMPLES / SAMPLE_RATE_HZ} s are needed. Give a longer sound."
            )


@contextmanager
def open_sound(x, sample_rate_hz: int | None = None, name: str | None = None) -> Iterator[Sound]:
    """Open anything that holds one sound; FileNotFoundError, TypeError or ValueError if it cannot be read.

    ``x`` is a path, the bytes of a sound file or an open binary file, as ``open_sound_file`` takes them; or samples as
    a NumPy array or a tensor: [samples], [channels, samples] or [samples, channels] with one or two channels, floats in
    [-1, 1] or integers of the types uint8, int16 or int32, at ``sample_rate_hz`` (16 000 if None); or a cell of an
    Audio column of the library datasets: ``{"array": samples, "sampling_rate": 16000}``, its decoder, or, undecoded,
    ``{"bytes": content, "path": file}``. ``name`` is used in messages.
    """
    if isinstance(x, Mapping) or hasattr(x, "get_all_samples"):
        x, sample_rate_hz = _of_audio_column(x, sample_rate_hz, name or "the sound")
    if isinstance(x, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(x, "read"):
        with open_sound_file(x, name) as file:
            if sample_rate_hz not in (None, file.sample_rate_hz):
                raise ValueError(
                    f"{file.name} has {file.sample_rate_hz} samples a second, and sample_rate_hz is {sample_rate_hz}; "
                    "leave it out for a file."
                )
            yield Sound(file.name, file.sample_rate_hz, file.num_samples, file.channels, file.blocks)
    elif hasattr(x, "__array__") and not np.isscalar(x):
        rate = SAMPLE_RATE_HZ if sample_rate_hz is None else sample_rate_hz
        if not isinstance(rate, (int, float, np.number)) or rate % 1:  # true for NaN and infinity too
            raise ValueError(f"sample_rate_hz must be a whole number of samples a second, got {rate!r}.")
        yield _array_sound(name or "the waveform", int(rate), x)
    else:
        raise TypeError(f"{name or 'the sound'} is a {type(x).__name__}; give {SOURCES}.")


def _array_sound(name: str, sample_rate_hz: int, x) -> Sound:
    """Samples in memory; of two axes the shorter is the channels."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        x = (x.float() if x.is_floating_point() else x).numpy()
    samples = np.asarray(x)
    check_sample_type(samples, name)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and min(samples.shape) > MAX_CHANNELS):
        raise ValueError(
            f"{name} has the shape {list(samples.shape)}; give one sound: [samples], or [channels, samples] or "
            "[samples, channels] with one or two channels. Several sounds make a list."
        )
    samples = samples[:, None] if samples.ndim == 1 else samples
    samples = samples if samples.shape[1] <= MAX_CHANNELS else samples.T
    check_rate(sample_rate_hz, name)

    def blocks() -> Iterator[np.ndarray]:
        size = block_samples(sample_rate_hz, samples.shape[1])
        for start in range(0, len(samples), size):
            block = scaled(samples[start : start + size])
            check_samples(block, name)
            yield block

    return Sound(name, sample_rate_hz, *samples.shape, blocks)


def _of_audio_column(cell, sample_rate_hz: int | None, name: str):
    """The sound in a cell of an Audio column, and its rate."""
    if isinstance(cell, Mapping) and not {"array", "sampling_rate"} <= set(cell):
        if "array" in cell or (sound := cell.get("bytes") or cell.get("path")) is None:
            raise ValueError(f"{name} is a dict of {', '.join(map(str, cell))}; give array and sampling_rate.")
        return sound, sample_rate_hz
    array, rate = cell["array"], cell["sampling_rate"]
    if sample_rate_hz not in (None, rate):
        raise ValueError(f"{name} has a sampling_rate of {rate}, and sample_rate_hz is {sample_rate_hz}; leave it out.")
    return np.asarray(array), rate  # a list, where a dataset was read from JSON or Parquet


class WindowCutter:
    """Cuts the same windows from a stream that ``window_starts`` cuts from the whole sound.

    A window of ``size`` samples is returned when more sound follows it, the last one, which ends with the sound, by
    ``finish``; starts are ``step`` samples apart, 1 <= step <= size. A sound shorter than a window is one window.
    """

    def __init__(self, size: int, step: int):
        self.size, self.step = size, step
        self._buffer = np.empty(0, np.float32)
        self._next = 0  # start of the next window in the buffer

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The windows that are now complete, as views [size] that hold until the next call."""
        self._buffer = np.concatenate([self._buffer, samples]) if len(self._buffer) else samples
        while self._next + self.size < len(self._buffer):
            yield self._buffer[self._next : self._next + self.size]
            self._next += self.step
        # The last window may begin before the next one would.
        dropped = max(0, len(self._buffer) - self.size)
        self._buffer, self._next = self._buffer[dropped:], self._next - dropped

    def finish(self) -> np.ndarray:
        """The last window, of at most ``size`` samples."""
        return self._buffer


class PauseCutter:
    """Shortens every stretch of more than ``longest_s`` without speech to ``kept_s`` next to the speech.

    The stretches before the first and after the last speech count as well. The result does not depend on how the sound
    is cut into pieces; memory is ``longest_s`` and one piece. Frame k of voice activity ends at sample
    round((k + 1) frame_s sample_rate_hz); 0 <= 2 kept_s <= longest_s.
    """

    def __init__(self, sample_rate_hz: int, frame_s: float, longest_s: float = LONGEST_S, kept_s: float = KEPT_S):
        self._frame, self._frame_s = frame_s * sample_rate_hz, frame_s
        self._longest, self._kept = (round(seconds * sample_rate_hz) for seconds in (longest_s, kept_s))
        self._buffer = np.empty(0, np.float32)  # samples from number _first on, neither returned nor dropped yet
        self._first = self._frames = self._speech_frames = 0
        self._pause = 0  # number of the sample at which the last speech ended

    @property
    def speech_s(self) -> float:
        """Seconds of speech so far."""
        return round(self._speech_frames * self._frame_s, 3)

    def push(self, samples: np.ndarray, speech: np.ndarray) -> np.ndarray:
        """The next samples that are certain to be kept.

        ``speech`` [frames] bool says of each frame that ``samples`` complete whether it is speech.
        """
        self._buffer = np.concatenate([self._buffer, samples])
        kept = [np.empty(0, np.float32)]
        for stretch in np.split(speech, np.flatnonzero(np.diff(speech)) + 1) if len(speech) else ():
            start = round(self._frames * self._frame)
            self._frames += len(stretch)
            end = round(self._frames * self._frame)
            if stretch[0]:
                self._speech_frames += len(stretch)
                kept += [self._shorten(start), self._take(end)]
                self._pause = end
            else:
                kept.append(self._shorten(end))
        return np.concatenate(kept)

    def finish(self) -> np.ndarray:
        """The rest of the sound, without its last pause if that is a long one."""
        end = self._first + len(self._buffer)
        kept = self._shorten(end)
        return np.concatenate([kept, self._take(end)]) if end - self._pause <= self._longest else kept

    def _shorten(self, end: int) -> np.ndarray:
        """The beginning of a pause that lasts at least until ``end``, if it is long; its end stays in the buffer."""
        if end - self._pause <= self._longest:
            return np.empty(0, np.float32)
        kept = self._take(self._pause + self._kept) if self._pause else np.empty(0, np.float32)
        self._take(end - self._kept)
        return kept

    def _take(self, end: int) -> np.ndarray:
        """Remove the samples before number ``end`` from the buffer and return them."""
        count = max(0, end - self._first)
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        self._first += len(taken)
        return taken
