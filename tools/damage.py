"""Ways to damage sound files, samples and windows, for damaged_inputs.py; each is drawn from a random generator."""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

FORMATS = {  # suffix -> libsndfile's name
    **{".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG", ".opus": "OGG", ".aiff": "AIFF", ".au": "AU"},
    **{".caf": "CAF", ".w64": "W64", ".rf64": "RF64"},
}
WIDTHS = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes; of others 1 a sample
MAGIC = (
    b"RIFF\0\0\1\0WAVEfmt ",
    b"fLaC",
    b"OggS",
    b"ID3\4\0",
    b"FORM\0\0\1\0AIFF",
    b".snd",
    b"caff",
    b"\xff\xfb\x90\x64",
)
NUMBERS = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 16, 2**32 - 1)


class File(NamedTuple):
    """A sound file in memory; ``sound_bytes`` is the size of its samples, 0 if unknown."""

    suffix: str
    data: bytes
    sound_bytes: int = 0

    def damaged(self, data: bytes, suffix: str = "") -> "File":
        return File(suffix or self.suffix, bytes(data), self.sound_bytes)


class Window(NamedTuple):
    """What the engine is given: [1, samples] float32."""

    samples: np.ndarray


def encoded(samples, rate=16000, suffix=".wav", subtype=None) -> File:
    buffer = io.BytesIO()
    subtype = "OPUS" if suffix == ".opus" else subtype or soundfile.default_subtype(FORMATS[suffix])
    soundfile.write(buffer, samples, rate, format=FORMATS[suffix], subtype=subtype)
    return File(suffix, buffer.getvalue(), samples.size * WIDTHS.get(subtype, 1))


def any_file(random, speech, suffixes=tuple(FORMATS)) -> File:
    """A whole file of any format, to be damaged."""
    suffix = str(random.choice(suffixes))
    subtype = "FLOAT" if suffix in (".wav", ".au", ".caf") and random.random() < 0.3 else None
    return encoded(speech(), suffix=suffix, subtype=subtype)


def flipped(random, file: File, last: int, most: int) -> File:
    data = bytearray(file.data)
    for _ in range(random.integers(1, most + 1)):
        data[random.integers(0, max(1, min(last, len(data))))] ^= 1 << random.integers(8)
    return file.damaged(data)


def bits_flipped(random, speech):
    file = any_file(random, speech)
    return flipped(random, file, len(file.data), 200)


def header_flipped(random, speech):
    return flipped(random, any_file(random, speech), 128, 8)


def truncated(random, speech):
    file = any_file(random, speech)
    short = random.random() < 0.3
    return file.damaged(file.data[: random.integers(0, 64 if short else len(file.data))])


def number_in_header(random, speech):
    """Four bytes of the header replaced by a number that may cause an error."""
    file, at = any_file(random, speech), random.integers(0, 64)
    number = struct.pack(random.choice(["<I", ">I"]), int(random.choice(NUMBERS)))
    return file.damaged(file.data[:at] + number + file.data[at + 4 :])


def wrong_header(random, speech):
    """One format's beginning, another's rest; or simply another's name."""
    file, other = any_file(random, speech), str(random.choice(list(FORMATS)))
    if random.random() < 0.3:
        return file.damaged(file.data, other)
    return file.damaged(MAGIC[random.choice(len(MAGIC))] + file.data[random.integers(0, 64) :], other)


def random_bytes(random, speech):
    start = MAGIC[random.choice(len(MAGIC))] if random.random() < 0.5 else b""
    return File(str(random.choice(list(FORMATS))), start + random.bytes(int(10 ** random.uniform(0, 5))))


def middle_damaged(random, speech):
    """A stretch zeroed, cut out, doubled or filled with noise, as bad disks and downloads leave it."""
    file = any_file(random, speech)
    first, last = sorted(random.integers(0, len(file.data), 2))
    part = file.data[first:last]
    other = (bytes(len(part)), b"", part + part, random.bytes(len(part)))[random.integers(4)]
    return file.damaged(file.data[:first] + other + file.data[last:])


def extreme_samples(random, speech):
    """Float files with values that no recorder writes, and whole numbers at their ends."""
    samples = speech().astype(np.float64)
    value = random.choice([1e30, -1e30, 3.4e38, np.nan, np.inf, -np.inf, 1e-40, 2.0, 2.1, 1.0])
    if random.random() < 0.5:
        samples[random.integers(len(samples))] = value
    else:
        samples[:] = np.where(random.random(len(samples)) < 0.5, value, -value)
    if random.random() < 0.3:
        return encoded(np.where(samples > 0, 2**15 - 1, -(2**15)).astype(np.int16))
    return encoded(samples, subtype=str(random.choice(["FLOAT", "DOUBLE"])))


def odd_shape(random, speech):
    """No samples, one, a few; many channels; silence; a constant."""
    count = int(random.choice([0, 1, 2, 399, 1599, 1600, 16000]))
    channels = int(random.choice([1, 2, 10, 64, 255]))
    level = random.choice([0.0, 1e-6, 0.5, -1.0])
    return encoded(np.full((count, channels), level), subtype="PCM_16")


def odd_rate(random, speech):
    file = encoded(speech())
    rate = int(random.choice([0, 1, 7, 3999, 4000, 11025, 12345, 383999, 384000, 384001, 10**6, 2**31 - 1, 2**32 - 1]))
    return file.damaged(file.data[:24] + struct.pack("<I", rate) + file.data[28:])


def huge_promise(random, speech):
    """A few bytes whose header promises gigabytes."""
    file = any_file(random, speech, (".wav", ".flac", ".aiff", ".au", ".caf", ".w64"))
    data = bytearray(file.data)
    if file.suffix == ".flac":
        data[21:26] = bytes([data[21] & 0xF0 | 0xF]) + random.bytes(4)
    elif file.suffix == ".w64":
        at = data.find(b"data") + 16
        data[at : at + 8] = struct.pack("<Q", 2 ** int(random.integers(30, 63)))
    elif file.suffix == ".caf":
        at = data.find(b"data") + 4
        data[at : at + 8] = struct.pack(">q", random.choice([-1, 2**40, 2**62]))
    else:
        at = {".wav": data.find(b"data") + 4, ".aiff": data.find(b"SSND") + 4, ".au": 8}[file.suffix]
        form = "<I" if file.suffix == ".wav" else ">I"
        data[at : at + 4] = struct.pack(form, int(random.choice([2**31 - 1, 2**32 - 16, 2**32 - 1])))
    return file.damaged(data)


def untouched(random, speech):
    return any_file(random, speech)


def extreme_array(random, speech):
    """Samples in memory: any size of value, any type, any shape."""
    samples = speech()[: int(10 ** random.uniform(0, 5))].astype(np.float64)
    kind = random.integers(5)
    if kind == 0:
        return samples * 10 ** random.uniform(-45, 30)
    if kind == 1:
        samples[random.integers(len(samples))] = random.choice([1e30, 1e300, np.nan, np.inf, -np.inf])
        return samples
    if kind == 2:
        dtype = random.choice(["int8", "uint8", "int16", "int32", "int64", "bool", "float16", "complex64"])
        limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
        return (np.where(samples > 0, limits.max, limits.min) if limits else samples).astype(dtype)
    if kind == 3:
        return np.resize(samples, tuple(random.integers(0, 3000, random.integers(0, 4)) // 20))
    return np.where(random.random(len(samples)) < 0.5, 1.0, -1.0) * random.choice([1.0, 2.0, 2.1, 0.0, 1e30])


def extreme_window(random, speech):
    """Finite or not, straight into the engine: [1, samples] float32."""
    samples = np.resize(speech(), random.integers(1600, 60000)).astype(np.float32)
    with np.errstate(over="ignore"):
        samples = samples * np.float32(10 ** random.uniform(-40, 31))
    if random.random() < 0.3:
        samples[random.integers(len(samples))] = random.choice([1e30, np.nan, np.inf, -np.inf])
    return Window(samples[None])


KINDS = (bits_flipped, header_flipped, truncated, number_in_header, wrong_header, random_bytes, middle_damaged)
KINDS += (extreme_samples, odd_shape, odd_rate, huge_promise, untouched, extreme_array, extreme_window)


def speech_of(folder: str | None, random):
    """A function that gives 0.1 to 3 s of speech: of a folder's files, or generated."""
    files = sorted(Path(folder).rglob("*.flac")) + sorted(Path(folder).rglob("*.wav")) if folder else []
    if folder and not files:
        raise FileNotFoundError(f"{folder} holds no .wav or .flac file; give a folder of speech, or leave it out.")

    def speech():
        if files:
            samples = soundfile.read(files[random.integers(len(files))], dtype="float32")[0]
        else:
            seconds = np.arange(48000) / 16000
            voiced = np.sin(2 * np.pi * 120 * seconds) * np.sin(2 * np.pi * 3 * seconds) ** 2
            samples = (0.3 * voiced + random.normal(0, 0.02, len(seconds))).astype(np.float32)
        return samples[: random.integers(1600, min(48000, len(samples)) + 1)].copy()

    return speech
