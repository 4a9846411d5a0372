"""Checks live recognition on hours of speech: same results as for a file, constant memory, speed.

    python tools/streaming_check.py --model student.onnx --data_folder EmoDB --hours 1

Speech of a folder is joined until it lasts as long as requested and pushed in chunks of random size; then everything is
pushed at once. Exit code 1 if one moment differs in one bit, memory grows, or it is too slow. Speed is seconds of sound
by seconds of processor time, which is what one core that does nothing else would take.
"""

import argparse
import itertools
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference import EmotionRecognizer, StreamingRecognizer
from akd_toolkit.inference.activity import ACTIVITIES

SPEEDS = {"silero": 150, "energy": 500, "off": 500}  # times real time that are demanded
GROWTH_MB = 4.0  # that are allowed from the first tenth of the stream to its end
LARGEST_CHUNK = 48000  # samples


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", required=True, metavar="SOURCE", help="as of akd listen")
    parser.add_argument("--data_folder", required=True, type=Path, help="searched for WAV and FLAC files")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--hop_s", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=17, help="of the chunks' sizes")
    parser.add_argument("--activity", choices=ACTIVITIES, default="auto", help="as of akd listen")
    parser.add_argument("--speed", type=float, help=f"times real time to be reached; without it {SPEEDS}")
    arguments = parser.parse_args(argv)
    if not arguments.hours > 0:
        parser.error(f"--hours must be > 0, got {arguments.hours}.")
    torch.set_num_threads(1)
    recognizer = EmotionRecognizer.from_pretrained(arguments.model, activity=arguments.activity)
    rate_hz = recognizer.sample_rate_hz
    speech = speech_of(arguments.data_folder, rate_hz)
    total = round(arguments.hours * 3600 * rate_hz)
    cut = chunked(recognizer.stream(hop_s=arguments.hop_s), speech, total, arguments.seed)
    whole, whole_s = at_once(recognizer.stream(hop_s=arguments.hop_s), np.resize(speech, total))
    activity = recognizer.stream().activity.name
    failures = failed_checks(cut, whole, whole_s, total / rate_hz, arguments.speed or SPEEDS[activity])
    print(f"a push of one sample takes {one_sample_us(recognizer.stream()):.1f} us; speech was found by {activity}")
    for failure in failures:
        print(f"FAILED: {failure}")
    return int(bool(failures))


def speech_of(folder: Path, rate_hz: int) -> np.ndarray:
    """All recordings of a folder, one after another."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".flac"))
    if not files:
        raise SystemExit(f"{folder} holds no WAV or FLAC file; give the folder of a corpus.")
    return np.concatenate([read_audio(file, sample_rate_hz=rate_hz) for file in tqdm(files, unit="file")])


def chunked(stream: StreamingRecognizer, speech: np.ndarray, total: int, seed: int) -> dict:
    """Push ``total`` samples in random chunks: a number for each moment, seconds, and memory along the way.

    Moments are kept as CRC of their text, which depends on every bit of every float, so that they need hardly any
    memory.
    """
    random = np.random.default_rng(seed)
    marks, spent_s, pushes, at = [], 0.0, 0, 0
    memory_mb, tenths_s = [], []
    with tqdm(total=total, unit="sample", unit_scale=True, desc="in chunks") as bar:
        while at < total:
            size = min(int(random.integers(1, LARGEST_CHUNK + 1)), total - at)
            chunk = np.take(speech, np.arange(at, at + size), mode="wrap")
            began = time.process_time()
            moments = stream.push(chunk)
            spent_s += time.process_time() - began
            marks.extend(map(mark, moments))
            at, pushes = at + size, pushes + 1
            if at * 10 // total > len(memory_mb):
                memory_mb.append(resident_mb())
                tenths_s.append(spent_s - sum(tenths_s))
            bar.update(size)
    marks.extend(map(mark, stream.finish()))
    return {"marks": marks, "seconds": spent_s, "tenths_s": tenths_s, "pushes": pushes, "memory_mb": memory_mb}


def at_once(stream: StreamingRecognizer, sound: np.ndarray) -> tuple[list, float]:
    """All moments of one push, and its seconds of processor time."""
    began = time.process_time()
    moments = stream.push(sound) + stream.finish()
    return moments, time.process_time() - began


def failed_checks(cut: dict, whole: list, whole_s: float, length_s: float, speed: float) -> list[str]:
    """Print the figures; what breaks a promise is returned, a sentence each."""
    marks = list(map(mark, whole))
    different = sum(a != b for a, b in zip(cut["marks"], marks)) + abs(len(cut["marks"]) - len(marks))
    memory = cut["memory_mb"]
    reached = length_s / cut["seconds"]
    labels = [moment.label for moment in whole if moment.label is not None]
    changes = sum(a != b for a, b in itertools.pairwise(labels))
    print(f"{length_s:.0f} s in {cut['pushes']} chunks of 1 to {LARGEST_CHUNK} samples: {len(marks)} moments")
    print(
        f"of these {len(labels)} answered, {sum(not m.speaking for m in whole)} silent; {changes} changes of decision"
    )
    print(f"moments that differ from those of one push: {different}")
    print(f"in chunks {cut['seconds']:.2f} s, {reached:.0f} times real time; in one push {whole_s:.2f} s, ", end="")
    print(f"{length_s / whole_s:.0f} times")
    slow, fast = (length_s / len(cut["tenths_s"]) / pick(cut["tenths_s"]) for pick in (max, min))
    print(f"slowest tenth of the stream {slow:.0f} times, fastest {fast:.0f}: they differ where other work disturbs")
    first, middle, last = memory[0], memory[len(memory) // 2], memory[-1]
    print(f"memory at a tenth, the middle and the end: {first:.1f}, {middle:.1f}, {last:.1f} MB")
    failures = []
    if different:
        failures.append(f"{different} moments depend on how the stream was cut.")
    if last - first > GROWTH_MB:
        failures.append(f"memory grew by {last - first:.1f} MB, more than {GROWTH_MB}.")
    if reached < speed:
        failures.append(f"{reached:.0f} times real time, fewer than {speed:.0f}.")
    return failures


def mark(moment) -> int:
    return zlib.crc32(repr(moment).encode())


def one_sample_us(stream: StreamingRecognizer, count: int = 10000) -> float:
    """Mean time of a push that completes no hop, microseconds."""
    sample = np.zeros(1, np.float32)
    began = time.process_time()
    for _ in range(count):
        stream.push(sample)
    return (time.process_time() - began) / count * 1e6


def resident_mb() -> float:
    """Memory that the process holds now; 0 where the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
