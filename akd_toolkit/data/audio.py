"""Audio files as 16 kHz mono waveforms, or one sentence that names the file and says why not."""

import hashlib
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

SAMPLE_RATE_HZ = 16000
MIN_SAMPLES = 1600  # 0.1 s at 16 kHz: the shortest waveform that a student accepts
MAX_PEAK = 2.0  # a float file above this holds integers or is broken; a decoder's overshoot stays below
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
        with soundfile.SoundFile(path) as file:
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
    stop = file.frames if stop is None else stop
    missing = _missing_wav_bytes(path)
    if missing:
        raise ValueError(f"{path} is truncated: {missing} bytes that its header promises are missing. Copy it again.")
    if not 0 <= start < stop <= file.frames:
        raise ValueError(
            f"{path}: samples {start} to {stop} were asked for, and the file holds {file.frames}. "
            "Copy it again, or run prepare again if it was replaced."
        )
    file.seek(start)
    samples = file.read(stop - start, dtype="float32", always_2d=True)
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


def _missing_wav_bytes(path: Path) -> int:
    """Bytes that a WAV header promises and the file lacks; libsndfile would shorten the sound without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return 0 if length == UNKNOWN_SIZE else max(0, length - (size - file.tell()))
            file.seek(length + length % 2, os.SEEK_CUR)  # chunks are padded to an even length
    return 0
