"""Give a student thousands of damaged inputs: each must be recognised, or refused with one sentence that names it.

    python tools/damaged_inputs.py --model results/akd/seed17/fold1/outer --speech /data/EmoDB/wav
    python tools/damaged_inputs.py --model student.onnx --count 200

Damage is drawn from a seed: flipped bits, cut or doubled files, headers that lie, random bytes, extreme samples, rates
and lengths; as files through what ``akd predict`` calls, a share of them through the command itself, and as arrays
through the recogniser and the engine. A violation is an exception without a sentence, a process that dies or hangs, a
probability that is not a number, memory that grows by more than 400 MB, or a decoder that writes to the terminal. An
answer about a part of a sound whose undamaged copy holds more is counted as HALF and is as bad. Prints counts by kind
and outcome; exit code 1 if anything was bad; --keep is where such inputs are kept.
"""

import argparse
import collections
import faulthandler
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from akd_toolkit.data.reader import open_sound_file
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.results import NO_SPEECH

HANG_S = 60  # the slowest input takes about a second
MAX_GROWTH_MB = 400
LONGEST_SENTENCE = 400
SHARE_OF_COMMAND = 0.1  # of the files go through the command as well
FORMATS = {  # suffix -> libsndfile's name
    **{".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG", ".opus": "OGG", ".aiff": "AIFF", ".au": "AU"},
    **{".caf": "CAF", ".w64": "W64", ".rf64": "RF64"},
}
WIDTHS = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes; of others 1 a sample
BAD = ("HALF", "VIOLATION")
ALL_THERE = 0.98  # of the bytes of its samples; a wrong header may cost a few at an end
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


class Violation(Exception):
    """A violated requirement, in a few words."""


def sentence(error: Exception, name: str) -> str:
    """The sentence of a refusal, if it is one and names the input."""
    message = str(error)
    if not isinstance(error, (ValueError, OSError)):
        raise Violation(f"{type(error).__name__}: {message[:200]}")
    if "\n" in message or not 10 < len(message) < LONGEST_SENTENCE + len(name) or name not in message:
        raise Violation(f"no sentence that names it: {message[:200]!r}")
    return "refused"


def checked(label: str, probabilities, labels) -> str:
    values = np.array(list(probabilities), dtype=float)
    if label == NO_SPEECH and not len(values):
        return "recognised"
    if label not in labels or values.shape != (len(labels),) or not np.isfinite(values).all():
        raise Violation(f"recognised {label} with {values.tolist()}")
    if abs(values.sum() - 1) > 1e-3 or values.min() < 0:
        raise Violation(f"probabilities {values.tolist()}")
    return "recognised"


@contextmanager
def watched(noise):
    """Nothing may hang, take much memory, or write past Python to the terminal."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stderr.flush()
    kept = os.dup(2)
    faulthandler.dump_traceback_later(HANG_S, exit=True, file=kept)
    os.dup2(noise.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        faulthandler.cancel_dump_traceback_later()
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    noise.seek(0)
    message = noise.read()
    noise.seek(0)
    noise.truncate()
    if message:
        raise Violation(f"wrote to the terminal: {message[:200]!r}")
    if growth > MAX_GROWTH_MB:
        raise Violation(f"took {growth:.0f} MB")


def recognize(recognizer, given: "File | np.ndarray | Window", path: Path | None) -> str:
    """The outcome of a file, which is written to ``path``, of samples, or of a window for the engine alone."""
    name = path.name if path else "waveform"
    if path:
        path.write_bytes(given.data)
    try:
        if isinstance(given, Window):
            probabilities = recognizer.engine(given.samples)[0]
            return checked(recognizer.label_order[int(probabilities.argmax())], probabilities, recognizer.label_order)
        answer = recognizer.recognize(str(path) if path else given)
    except Violation:
        raise
    except Exception as error:
        return sentence(error, name)
    outcome = checked(answer.label, answer.probabilities.values(), recognizer.label_order)
    half = path and bytes_recognised(path, answer.duration_s) < ALL_THERE * given.sound_bytes
    return "HALF" if half else outcome


def bytes_recognised(path: Path, seconds: float) -> float:
    """Bytes of the samples of so many seconds, by the file's own header."""
    with open_sound_file(path) as sound:
        return seconds * sound.sample_rate_hz * sound.channels * WIDTHS.get(sound.subtype, 1)


def recognize_by_command(folder: Path, model: str, expected: dict[str, str], problems: list[str]) -> None:
    """The command on a folder gives the same result for every file, and exit code 1."""
    files = sorted(str(path) for path in folder.iterdir())
    command = [sys.executable, "-m", "akd_toolkit.cli", "predict", "--json", "--model", model, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + HANG_S)
    recognised = {Path(json.loads(line)["file"]).name for line in done.stdout.splitlines()}
    outcomes = {Path(file).name: "recognised" if Path(file).name in recognised else "refused" for file in files}
    differ = [name for name in outcomes if outcomes[name] != expected[name]]
    refused = [name for name in outcomes if outcomes[name] == "refused"]
    unnamed = [name for name in refused if name not in done.stderr]
    if differ or unnamed or "Traceback" in done.stderr or done.returncode != int(bool(refused)):
        problems.append(f"akd predict: exit code {done.returncode}, {differ=}, {unnamed=}, {done.stderr[-300:]!r}")


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


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a run or bundle, or .onnx file")
    parser.add_argument("--speech", help="folder of recordings to damage; generated ones by default")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", choices=[kind.__name__ for kind in KINDS], help="only these"
    )
    parser.add_argument("--keep", type=Path, help="folder for inputs that caused a violation")
    arguments = parser.parse_args(argv)

    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # its thread would write to the terminal while that is watched
    random = np.random.default_rng(arguments.seed)
    speech = speech_of(arguments.speech, random)
    recognizer = EmotionRecognizer.from_pretrained(arguments.model)
    recognizer.recognize(encoded(speech(), 8000).data)  # memory that libraries take at first use does not count
    kinds = [kind for kind in KINDS if arguments.kinds is None or kind.__name__ in arguments.kinds]
    counts, problems, expected, slowest = collections.Counter(), [], {}, (0.0, "")
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as noise:
        batch = Path(scratch) / "batch"
        batch.mkdir()
        for number in tqdm(range(arguments.count), desc="damaged inputs", unit="input", leave=False):
            damage = kinds[number % len(kinds)]
            given, name, begun = damage(random, speech), f"{damage.__name__} {number}", time.perf_counter()
            path = Path(scratch) / f"{damage.__name__}-{number}{given.suffix}" if isinstance(given, File) else None
            try:
                with watched(noise):
                    outcome = recognize(recognizer, given, path)
                if outcome == "HALF":
                    problems.append(f"{name}: recognised by half")
            except Violation as violation:
                outcome = "VIOLATION"
                problems.append(f"{name}: {violation}")
            slowest = max(slowest, (time.perf_counter() - begun, name))
            counts[damage.__name__, outcome] += 1
            if path and arguments.keep and outcome in BAD:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, arguments.keep)
            if path and random.random() < SHARE_OF_COMMAND:
                expected[path.name] = outcome
                shutil.move(path, batch)
            elif path:
                path.unlink()
        if expected:
            recognize_by_command(batch, arguments.model, expected, problems)
    print_counts(counts, [kind.__name__ for kind in kinds])
    print(f"slowest: {slowest[1]}, {slowest[0]:.1f} s")
    print(f"through the command as well: {len(expected)}; {recognizer.engine.backend}, seed {arguments.seed}")
    print("\n".join(problems))
    return int(bool(problems))


def print_counts(counts: collections.Counter, kinds: list[str]) -> None:
    outcomes = ("recognised", "refused", *BAD)
    print(f"{'damage':<18}" + "".join(f"{outcome:>11}" for outcome in outcomes))
    for kind in kinds:
        print(f"{kind:<18}" + "".join(f"{counts[kind, outcome]:>11}" for outcome in outcomes))
    print(f"{'all':<18}" + "".join(f"{sum(counts[kind, out] for kind in kinds):>11}" for out in outcomes))


if __name__ == "__main__":
    sys.exit(main())
