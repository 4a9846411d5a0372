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
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from damage import KINDS, WIDTHS, File, Window, encoded, speech_of
from tqdm import tqdm

from akd_toolkit.data.reader import open_sound_file
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.results import NO_SPEECH

HANG_S = 60  # the slowest input takes about a second
MAX_GROWTH_MB = 400
LONGEST_SENTENCE = 400
SHARE_OF_COMMAND = 0.1  # of the files go through the command as well
BAD = ("HALF", "VIOLATION")
ALL_THERE = 0.98  # of the bytes of its samples; a wrong header may cost a few at an end


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
