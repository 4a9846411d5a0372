"""Memory and time of training on a small and on a large corpus: both must not grow with the hours of speech.

    python tools/corpus_memory.py --data_folder /path/to/EmoDB --hours 1 100

Repeats the recordings of a folder until they last long enough, stores their sound, and trains a micro CNN for some
steps, each size in a process of its own. Memory is the peak of anonymous memory, what the process itself holds; pages
of the store that the system keeps in its cache are given back when others need them and do not count. The recordings
themselves are not copied; 100 hours take 11.5 GB in a folder for temporary files, and as much again while the store is
put together.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import soundfile
import torch
from torch.utils.data import DataLoader

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options
from akd_toolkit.data.files import SOUND_SUFFIXES, walk_files
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.registry import STUDENTS

LABELS = ("even", "odd")
BATCH_SIZE, WINDOW_S = 32, 3.0


def repeated(folder: Path, hours: float) -> Manifest:
    """A manifest of the recordings below ``folder``, again and again until they last ``hours``."""
    files = [(path, soundfile.info(path)) for path in walk_files(folder) if path.suffix.lower() in SOUND_SUFFIXES]
    rows, seconds = [], 0.0
    while seconds < 3600 * hours:
        path, info = files[len(rows) % len(files)]
        seconds += info.duration
        label = LABELS[len(rows) % 2]
        name = f"{len(rows)}"
        rows.append(Utterance(name, str(path), 0, info.frames, info.duration, "speaker", label, sha256=name))
    return Manifest("repeated", LABELS, tuple(rows))


def anonymous_mb() -> float:
    """Anonymous memory of this process, MB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def watch(peaks: dict[str, float], name: str, interval_s: float = 0.05) -> threading.Event:
    """Keep the largest anonymous memory from now on in ``peaks[name]``, until the returned event is set."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(interval_s):
            peaks[name] = max(peaks.get(name, 0.0), anonymous_mb())

    threading.Thread(target=look, daemon=True).start()
    return stop


def measure(folder: Path, hours: float, steps: int, store: Path) -> str:
    """One row of the table."""
    peaks: dict[str, float] = {}
    begin, stop = time.monotonic(), watch(peaks, "storing")
    manifest = repeated(folder, hours)
    audio = AudioStore(manifest, store, progress=False)
    audio.prepare(1)
    stored_s = time.monotonic() - begin
    stop.set()
    stop = watch(peaks, "training")
    torch.manual_seed(0)
    student = STUDENTS.build("micro_cnn", num_classes=2)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    speech = [Speech(manifest, audio.waveform)]
    draws = loader_options(TrainSampler(speech, WINDOW_S, BATCH_SIZE, seed=0))
    batches = DataLoader(WindowDataset(speech), **draws)
    drawn_s = trained_s = 0.0
    windows, source = 0, iter(batches)
    next(source)  # the order of the epoch is drawn with the first batch
    for _ in range(steps):
        begin = time.monotonic()
        batch = next(source)
        drawn_s += time.monotonic() - begin
        begin = time.monotonic()
        optimizer.zero_grad()
        logits = student(batch.waveforms, batch.lengths).logits
        torch.nn.functional.cross_entropy(logits, batch.labels).backward()
        optimizer.step()
        trained_s += time.monotonic() - begin
        windows += len(batch.ids)
    stop.set()
    per_window = [1000 * seconds / windows for seconds in (drawn_s, trained_s)]
    return (
        f"| {hours:g} | {len(manifest)} | {stored_s:.0f} | {peaks['storing']:.0f} | {peaks['training']:.0f} | "
        f"{per_window[0]:.2f} | {per_window[1]:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_folder", type=Path, required=True)
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 100.0])
    parser.add_argument("--steps", type=int, default=30, help="training steps to measure, of 32 windows each")
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)  # of a process that measures one size
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.store is not None:
        print(measure(arguments.data_folder, arguments.hours[0], arguments.steps, arguments.store))
        return
    print("| hours | utterances | s to store | MB storing | MB training | ms a window drawn | ms a window trained |")
    print("|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for hours in arguments.hours:
        with tempfile.TemporaryDirectory() as store:
            options = ["--data_folder", arguments.data_folder, "--steps", arguments.steps, "--store", store]
            command = [sys.executable, __file__, "--hours", hours, *options]
            subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main()
