"""Audio files as 16 kHz mono waveforms, or one sentence that names the file and says why not."""

import hashlib
import math
import os
import struct
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

SAMPLE_RATE_HZ = 16000
MIN_SAMPLES = 1600  # 0.1 s at 16 kHz: the shortest waveform that a student accepts
MAX_PEAK = 2.0  # a float file above this holds integers or is broken; a decoder's overshoot stays below
MIN_RATE_HZ, MAX_RATE_HZ = 4000, 384000  # outside, a header is broken, and resampling would fill the memory
BLOCK_VALUES = 2**22  # values read at once, so that a header that promises too much costs no memory
_ONE_AT_A_TIME = threading.Lock()  # there is one file number 2
UNKNOWN_SIZE = 0xFFFFFFFF  # what a recorder that cannot seek writes into a WAV header


@dataclass(frozen=True)
class Recording:
    """The samples of a file as they are stored, checked but not converted.

    Shape
    -----
    samples: [num_samples, channels], float32 in [-1, 1].
    """

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
        """Channels averaged, resampled to ``sample_rate_hz``: float32 [samples] in [-1, 1]."""
        mono = self.samples.mean(axis=1) if self.channels > 1 else self.samples[:, 0]
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
            from scipy.signal import resample_poly  # here, because it takes its time

            common = math.gcd(sample_rate_hz, self.sample_rate_hz)
            mono = resample_poly(mono, sample_rate_hz // common, self.sample_rate_hz // common)
        return np.clip(mono, -1.0, 1.0).astype(np.float32, copy=False)


def read_audio(path, start: int = 0, stop: int | None = None, sample_rate_hz: int = SAMPLE_RATE_HZ) -> np.ndarray:
    """Read a file, or a part of it, as a mono waveform at ``sample_rate_hz``.

    Other sampling rates are resampled (polyphase, band-limited) and channels are averaged.

    Arguments
    ---------
    path
        Anything that libsndfile reads: WAV, FLAC, OGG, MP3, ...
    start, stop
        First sample and the one after the last, counted at the file's own sampling rate; None is the end.

    Shape
    -----
    Returns [samples], float32 in [-1, 1].

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, not audio, truncated, shorter than 0.1 s, silent (all zeros), or not finite.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "half.wav"
    >>> soundfile.write(path, np.full(3200, 0.5), 16000)
    >>> read_audio(path).shape, float(read_audio(path, start=1600)[0])
    ((3200,), 0.5)
    """
    return read_recording(path, start, stop).waveform(sample_rate_hz)


def read_recording(path, start: int = 0, stop: int | None = None) -> Recording:
    """Read the stored samples of a file, or of a part of it, and check that they are all there and finite."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file. Check data_folder, or run prepare again.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes); copy it again from the corpus.")
    try:
        with open_quietly(path) as file:
            samples = _read_all(file, path, start, stop)
            return Recording(path, samples, file.samplerate)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        raise ValueError(
            f"{path} cannot be read as audio ({reason}); WAV and FLAC can. Copy it again from the corpus."
        ) from error


def _read_all(file: soundfile.SoundFile, path: Path, start: int, stop: int | None) -> np.ndarray:
    if file.frames > 2**40:
        raise ValueError(f"{path} does not say how long it is; write it again as a complete WAV or FLAC file.")
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise ValueError(
            f"{path} says that it has {file.samplerate} samples a second; {MIN_RATE_HZ} to {MAX_RATE_HZ} are allowed. "
            "Write it again with its true rate."
        )
    stop = file.frames if stop is None else stop
    with path.open("rb") as opened:
        missing = missing_wav_bytes(opened)
    if missing:
        raise ValueError(f"{path} is truncated: {missing} bytes that its header promises are missing. Copy it again.")
    if not 0 <= start < stop <= file.frames:
        raise ValueError(
            f"{path}: samples {start} to {stop} were asked for, and the file holds {file.frames}. "
            "Copy it again, or run prepare again if it was replaced."
        )
    if start:
        file.seek(start)
    samples = _read_blocks(file, stop - start)
    if len(samples) < stop - start:
        raise ValueError(
            f"{path} is truncated: its header promises {stop - start} samples and {len(samples)} can be read. "
            "Copy it again."
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} holds NaN or infinite samples; convert it again from its source.")
    if np.abs(samples).max() > MAX_PEAK:
        raise ValueError(
            f"{path} has a peak of {np.abs(samples).max():.3g}; samples must lie in [-1, 1]. Scale and write it again."
        )
    return samples


def _read_blocks(file: soundfile.SoundFile, wanted: int) -> np.ndarray:
    """The next ``wanted`` samples, or those that are there: float32 [samples, channels]."""
    size = max(1, BLOCK_VALUES // file.channels)
    blocks = []
    while wanted and len(block := read_quietly(file, min(size, wanted))):
        blocks.append(block)
        wanted -= len(block)
    return np.concatenate(blocks) if blocks else np.empty((0, file.channels), np.float32)


def open_quietly(file) -> soundfile.SoundFile:
    """Open a path, a file's number or a file, without the terminal being told what the MP3 decoder thinks of it."""
    with _no_complaints():
        return soundfile.SoundFile(file, closefd=False)


def read_quietly(file: soundfile.SoundFile, count: int) -> np.ndarray:
    """The next samples, at most ``count``: float32 [samples, channels]."""
    with _no_complaints() if file.format == "MP3" else nullcontext():
        return file.read(count, dtype="float32", always_2d=True)


@contextmanager
def _no_complaints():
    """libsndfile's MP3 decoder complains past Python, to file number 2; so that is nowhere for as long as the block.

    Nothing else of this process can be read there meanwhile, so the block is to be short.
    """
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(2)
        except OSError:  # a process without a terminal or a log
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def missing_wav_bytes(file: BinaryIO) -> int:
    """Bytes that a WAV header promises and the file lacks; libsndfile would shorten the sound without a word."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            return 0 if length == UNKNOWN_SIZE else max(0, length - (size - file.tell()))
        file.seek(length + length % 2, os.SEEK_CUR)  # chunks are padded to an even length
    return 0
