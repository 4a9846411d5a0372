"""The effect of padding on predictions of exported files, and the cost of their input ``lengths`` without padding.

    python tools/padded_batches.py student.onnx student.int8.onnx --data_folder EmoDB/wav

Whole recordings are classified alone and in batches padded with zeros to the longest, with ``lengths`` and without.
Times are processor time of 3 s of noise, batch 1, one thread: ratios to the same graph without the input, called in
turn. The last column is the processor time to open the file without the input, and with it.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.deploy.bench.measures import percentile_ms, time_calls
from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.inference.session import open_session, padded_batch

ROUNDS = 100
NOISE = (0.1 * np.random.default_rng(0).standard_normal((1, 48000))).astype(np.float32)
HEADER = [
    "file", "decisions changed by padding: without lengths", "with lengths", "largest difference with lengths",
    "time", "bytes more", "ms to open",
]  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="exported .onnx files that take lengths")
    parser.add_argument("--data_folder", required=True, type=Path, help="recordings")
    parser.add_argument("--batch", type=int, default=8, help="recordings of a batch")
    arguments = parser.parse_args(argv)
    files = find_sounds(arguments.data_folder)
    waveforms = [read_audio(file) for file in tqdm(files, desc="reading", unit="file")]
    rows = [[file.name, *padding_of(file, waveforms, arguments.batch), *cost_of(file)] for file in arguments.files]
    print(f"{len(waveforms)} recordings in batches of {arguments.batch}, 3 s of noise for the times.\n")
    print(markdown_table(HEADER, rows))
    return 0


def padding_of(file: Path, waveforms: list[np.ndarray], size: int) -> list[str]:
    """Changed decisions without and with lengths, and the largest difference of a probability with them."""
    engine = open_engine(file)
    alone = np.concatenate([engine(waveform[None]) for waveform in tqdm(waveforms, desc=file.name, unit="file")])
    plain, given = [], []
    for start in range(0, len(waveforms), size):
        batch, lengths = padded_batch(waveforms[start : start + size])
        plain.append(engine(batch))
        given.append(engine(batch, lengths))
    plain, given = np.concatenate(plain), np.concatenate(given)
    changed = [int((answers.argmax(axis=1) != alone.argmax(axis=1)).sum()) for answers in (plain, given)]
    return [*(f"{count} of {len(alone)}" for count in changed), f"{np.abs(given - alone).max():.1e}"]


def cost_of(file: Path) -> list[str]:
    """Ratio of times, bytes more, and ms to open before and after, against the same graph without lengths."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.onnx"
        onnx.save(without_lengths(onnx.load(file)), bare)
        answers = [partial(open_engine(each), NOISE) for each in (bare, file)]
        seconds = [[], []]
        for _ in range(ROUNDS):
            for answer, taken in zip(answers, seconds):
                taken += time_calls(answer, seconds=0.0, fewest=10, warm_up=2, clock=time.thread_time)
        opened = [
            percentile_ms(time_calls(partial(open_session, each), 0.0, 10, clock=time.thread_time), 50)
            for each in (bare, file)
        ]
        more = file.stat().st_size - bare.stat().st_size
    ratio = np.median(seconds[1]) / np.median(seconds[0])
    return [f"{ratio:.3f}", str(more), f"{opened[0]:.0f} -> {opened[1]:.0f}"]


if __name__ == "__main__":
    sys.exit(main())
