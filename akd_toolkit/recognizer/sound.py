"""Sound from anywhere - a file, bytes, an array - as a mono waveform that comes piece by piece."""

import io
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from akd_toolkit.data.audio import (
    BLOCK_VALUES,
    MAX_PEAK,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    MIN_SAMPLES,
    SAMPLE_RATE_HZ,
    missing_wav_bytes,
    open_quietly,
    read_quietly,
)
from akd_toolkit.recognizer.arrays import samples_of, scaled, whole_rate
from akd_toolkit.recognizer.resampler import Resampler

BLOCK_S = 10  # read at once
IN_MEMORY = 2**26  # bytes of a pipe; more goes into a temporary file
ALLOWED = "a path, the bytes of a sound file, an open binary file, an array or tensor of samples, or a list of these"


class Sound:
    """One sound whose samples are read when they are asked for, and checked as ``read_audio`` checks them.

    Arguments
    ---------
    name
        Begins every message about it.
    sample_rate_hz
        Its own rate, 4 000 to 384 000.
    num_samples
        How many samples a channel it says that it has.
    pieces
        Its samples in order: [samples, channels] float32 each.
    """

    def __init__(self, name: str, sample_rate_hz: int, num_samples: int, pieces: Iterator[np.ndarray]):
        if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
            raise ValueError(
                f"{name} has {sample_rate_hz} samples a second; {MIN_RATE_HZ} to {MAX_RATE_HZ} are allowed. "
                "Give its true rate."
            )
        self.name, self.sample_rate_hz, self.num_samples = name, sample_rate_hz, num_samples
        self.heard = 0  # samples a channel
        self._pieces = pieces

    @property
    def duration_s(self) -> float:
        """Seconds that have been read."""
        return self.heard / self.sample_rate_hz

    def waveform(self, to_hz: int = SAMPLE_RATE_HZ) -> Iterator[np.ndarray]:
        """Channels averaged, resampled to ``to_hz``: float32 [samples] in [-1, 1], piece by piece; to be read once.

        Together the pieces are exactly ``read_audio`` of the same sound.

        Raises
        ------
        ValueError
            At the piece where it shows: samples that are not finite or above a peak of 2, a file that ends too early;
            and at the end, if all was shorter than 0.1 s or zero.
        """
        resampler, silent = Resampler(self.sample_rate_hz, to_hz), True
        for piece in self._pieces:
            _check(piece, self.name)
            mono = piece.mean(axis=1) if piece.shape[1] > 1 else piece[:, 0]
            self.heard += len(mono)
            silent = silent and not mono.any()
            yield np.clip(resampler.push(mono), -1.0, 1.0)
        if math.ceil(self.heard * to_hz / self.sample_rate_hz) < math.ceil(MIN_SAMPLES * to_hz / SAMPLE_RATE_HZ):
            raise ValueError(
                f"{self.name} holds {self.heard} samples ({self.duration_s:.4f} s); at least "
                f"{MIN_SAMPLES / SAMPLE_RATE_HZ} s are needed. Give a longer sound."
            )
        if silent:
            raise ValueError(f"{self.name} holds only zeros; speech is needed. Check how it was recorded.")
        yield np.clip(resampler.finish(), -1.0, 1.0)


@contextmanager
def open_sound(x, sample_rate_hz: int | None = None, name: str | None = None) -> Iterator[Sound]:
    """Open anything that holds one sound.

    Arguments
    ---------
    x
        A path; the bytes of a sound file; an open binary file (read from its start; a pipe is stored away first);
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
    if isinstance(x, (str, os.PathLike)):
        opened = _opened(Path(x), name or str(x), sample_rate_hz)
    elif isinstance(x, (bytes, bytearray, memoryview)):
        opened = _opened(io.BytesIO(x), name or "the sound", sample_rate_hz)
    elif hasattr(x, "read"):
        own = getattr(x, "name", None)
        opened = _opened(x, name or (own if isinstance(own, str) else "the sound"), sample_rate_hz)
    elif hasattr(x, "__array__") and not np.isscalar(x):
        yield _sound_of_array(x, name or "the waveform", sample_rate_hz)
        return
    else:
        raise TypeError(f"{name or 'the sound'} is a {type(x).__name__}; give {ALLOWED}.")
    with opened as sound:
        yield sound


@contextmanager
def _opened(file, name: str, sample_rate_hz: int | None) -> Iterator[Sound]:
    with ExitStack() as stack:
        if isinstance(file, Path):
            if file.is_dir():
                raise ValueError(f"{name} is a folder; give its files one by one, or the folder to akd predict.")
            if not (file.is_file() or file.is_fifo()):
                raise FileNotFoundError(f"{name} is not a file; check the path.")
            file = stack.enter_context(file.open("rb", buffering=0))
        if not getattr(file, "seekable", lambda: True)():
            file = stack.enter_context(_stored(file, name))
        file.seek(0)
        if not isinstance(first := file.read(1), bytes):
            raise TypeError(f"{name} is open as text; open it with mode 'rb'.")
        if not first:
            raise ValueError(f"{name} is empty (0 bytes); give a sound file.")
        missing = missing_wav_bytes(file)
        file.seek(0)
        guarded = _Guarded(file)
        try:
            # A file of the disk by its number: libsndfile then goes by what it holds and not by what it is called.
            by = file.fileno() if isinstance(file, io.FileIO) else guarded
            sound = stack.enter_context(open_quietly(by))
            if missing:
                raise ValueError(
                    f"{name} is truncated: {missing} bytes that its header promises are missing. Get it again."
                )
            yield _sound_of(sound, name, sample_rate_hz)
        except soundfile.LibsndfileError as error:
            reason = str(guarded.error or error.error_string).strip().rstrip(".")
            raise ValueError(f"{name} cannot be read as audio ({reason}); WAV, FLAC, OGG and MP3 can.") from error


class _Guarded:
    """A file for libsndfile, which asks damaged ones for impossible places and cannot pass an exception on."""

    def __init__(self, file):
        self.file, self.error = file, None

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, offset: int, whence: int) -> None:
        with suppress(OSError, ValueError, OverflowError):  # it then looks where it is, and finds that it did not move
            self.file.seek(offset, whence)

    def read(self, count: int) -> bytes:
        try:
            return self.file.read(count)
        except Exception as error:  # whatever the file of the caller raises
            self.error = error
            return b""


def _stored(pipe, name: str):
    """All that a pipe gives, in a file that can be read again."""
    stored = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed by who asked)
    try:
        shutil.copyfileobj(pipe, stored)
    except TypeError:
        stored.close()
        raise TypeError(f"{name} is open as text; open it with mode 'rb'.") from None
    return stored


def _sound_of(file: soundfile.SoundFile, name: str, sample_rate_hz: int | None) -> Sound:
    if sample_rate_hz not in (None, file.samplerate):
        raise ValueError(
            f"{name} says that it has {file.samplerate} samples a second, and sample_rate_hz is {sample_rate_hz}; "
            "leave it out for a file."
        )
    if file.frames > 2**40:
        raise ValueError(f"{name} does not say how long it is; write it again as a complete WAV or FLAC file.")
    return Sound(name, file.samplerate, file.frames, _file_pieces(file, name))


def _file_pieces(file: soundfile.SoundFile, name: str) -> Iterator[np.ndarray]:
    size, found = _block(file.samplerate, file.channels), 0
    while found < file.frames:
        piece = read_quietly(file, min(size, file.frames - found))
        if not len(piece):
            raise ValueError(
                f"{name} is truncated: its header promises {file.frames} samples and {found} can be read. Get it again."
            )
        found += len(piece)
        yield piece


def _sound_of_array(x, name: str, sample_rate_hz) -> Sound:
    rate = whole_rate(SAMPLE_RATE_HZ if sample_rate_hz is None else sample_rate_hz)
    samples = samples_of(x, name)
    size = _block(rate, samples.shape[1])
    pieces = (scaled(samples[start : start + size]) for start in range(0, len(samples), size))
    return Sound(name, rate, len(samples), pieces)


def _check(piece: np.ndarray, name: str) -> None:
    peak = np.abs(piece).max(initial=0.0)
    if not np.isfinite(peak):
        raise ValueError(f"{name} holds NaN or infinite samples; convert it again from its source.")
    if peak > MAX_PEAK:
        raise ValueError(f"{name} has a peak of {peak:.3g}; samples must lie in [-1, 1]. Scale and give it again.")


def _block(sample_rate_hz: int, channels: int) -> int:
    return max(1, min(BLOCK_S * sample_rate_hz, BLOCK_VALUES // max(1, channels)))
