"""The bench: every row in a process of its own, all of them timed in turns."""

import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from akd_toolkit.deploy.bench.children import Child, WorkerError
from akd_toolkit.deploy.bench.machine import describe_machine
from akd_toolkit.deploy.bench.options import PEERS, check_options, thread_counts
from akd_toolkit.deploy.bench.peers import peer_rows
from akd_toolkit.deploy.bench.rows import FEATURES, WHOLE, Row
from akd_toolkit.deploy.bench.sources import open_source, student_rows
from akd_toolkit.deploy.bench.voices import generated_voices
from akd_toolkit.deploy.bench.ways import WAYS
from akd_toolkit.deploy.export.onnx import quiet

logger = logging.getLogger(__name__)

ROUNDS = 5  # turns in which every cell gets its share of the seconds
STOPPED = "stopped before it was measured"


@dataclass
class Bench:
    """What was measured, where, and how.

    Arguments
    ---------
    machine
        See ``describe_machine``.
    options
        ``window_s``, ``seconds``, ``batches``, ``threads``, ``sources``.
    stopped
        Whether Ctrl-C ended it early.
    """

    rows: list[Row]
    machine: dict
    options: dict = field(default_factory=dict)
    stopped: bool = False


def run_bench(
    sources: Sequence[str | Path],
    ways: Sequence[str] = tuple(WAYS),
    peers: Sequence[str] = tuple(PEERS),
    threads: Sequence[int | str] = (1, "all"),
    batches: Sequence[int] = (1, 8, 32),
    window_s: float = 3.0,
    seconds: float = 2.0,
    progress: bool = True,
) -> Bench:
    """Measure students in every way that this machine offers, beside their peers.

    One round gives every row a slice of every batch size, one after the other, so that a disturbance hits all alike;
    medians and percentiles are taken over the calls of all rounds. Ctrl-C ends the measuring and keeps what there is.

    Arguments
    ---------
    sources
        ``.onnx`` files, folders of runs or bundles, names of registered students; see ``open_source``.
    ways, peers
        Names from ``WAYS`` and ``PEERS``, in the order of the table.
    threads
        Numbers >= 1, or ``"all"`` that this process may use.
    batches
        Sizes for the throughput; 1, which latency needs, is always among them. One that would not fit into the
        seconds is left out.
    window_s
        Length of a window, s, >= 0.1.
    seconds
        Seconds that every row gets for every batch size, in (0, 3600]; a slow one takes longer.

    Raises
    ------
    ValueError
        If an option is out of range, or a source, way or peer unknown.
    """
    check_options(sources, ways, peers, threads, batches, window_s, seconds)
    threads, batches = thread_counts(threads), sorted({1, *batches})
    machine = describe_machine()
    bench = Bench([], machine)
    bench.options = {"sources": [str(source) for source in sources], "window_s": window_s, "seconds": seconds}
    bench.options |= {"batches": batches, "threads": threads}
    children: dict[int, Child] = {}
    with tempfile.TemporaryDirectory(prefix="akd-bench-") as folder:
        work = Path(folder)
        voices = work / "voices.npy"
        np.save(voices, generated_voices(max(batches), window_s))
        try:
            with quiet("akd_toolkit.deploy.export"):  # its files are gone when the bench ends
                bench.rows = _planned(sources, ways, peers, threads, work, np.load(voices), progress)
            cells = _start(bench.rows, children, voices, work, batches, seconds, progress)
            _measure(bench.rows, children, cells, seconds, progress)
        except KeyboardInterrupt:
            bench.stopped = True
            logger.warning("stopped; the rows below were measured before.")
        finally:
            for child in children.values():
                child.close()
    for row in bench.rows:
        if not row.measured and not row.reason:
            row.reason = STOPPED
    return bench


def _planned(sources, ways, peers, threads, work, voices, progress) -> list[Row]:
    parts = {WAYS[way].part for way in ways if not WAYS[way].missing()}  # nothing is made in vain
    rows = []
    with tqdm(
        total=len(sources) + len(peers), desc="preparing", unit="model", disable=not progress, leave=False
    ) as bar:
        for index, source in enumerate(sources):
            bar.set_postfix_str(str(source))
            model = open_source(source, work / f"source{index}", parts, voices)
            if any(row.model == model.title for row in rows):
                model.title += f" ({source})"
            rows += student_rows(model, ways, threads)
            bar.update()
        for peer in peers:
            bar.set_postfix_str(peer)
            rows += peer_rows(peer, threads, work / peer, voices)
            bar.update()
    return rows


def _start(rows, children, voices, work, batches, seconds, progress) -> dict[tuple[str, int], list[int]]:
    """Load every row into its process; returns cell -> rows that are timed in it."""
    cells = {(WHOLE, batch): [] for batch in batches} | {(FEATURES, 1): []}
    ready = [index for index, row in enumerate(rows) if not row.reason]
    with tqdm(ready, desc="starting", unit="row", disable=not progress, leave=False) as bar:
        for index in bar:
            row = rows[index]
            bar.set_postfix_str(row.title)
            child = children[index] = Child(row, voices, work)
            try:
                row.memory_mb = child.ask("load")["memory_bytes"] / 1e6
                fitting = _warm(child, row, batches, seconds)
            except WorkerError as error:
                row.reason = str(error)
                continue
            for batch in fitting:
                cells[WHOLE, batch].append(index)
            if row.features_place:
                _try_features(child, cells, index, row)
    return cells


def _warm(child: Child, row: Row, batches: list[int], seconds: float) -> list[int]:
    """Make the first calls of every batch size that fits in the seconds; returns these sizes.

    A slow model would take minutes for a large batch, which on a CPU is hardly quicker by the window.
    """
    fitting, of_one = [], 0.0
    for batch in batches:
        if of_one * batch > seconds:
            break
        try:
            of_one = child.ask("warm", what=WHOLE, batch=batch)["seconds"] / batch
        except WorkerError as error:
            if batch == 1:
                raise
            row.note = f"{row.note}; batch {batch}: {error}".removeprefix("; ")
            break
        fitting.append(batch)
    return fitting


def _try_features(child, cells, index, row) -> None:
    try:
        child.ask("warm", what=FEATURES, batch=1)
        cells[FEATURES, 1].append(index)
    except WorkerError as error:
        logger.warning("%s: the features cannot be timed alone (%s).", row.title, error)


def _measure(rows, children, cells, seconds, progress) -> None:
    """Every cell gets its slice in every round, row after row."""
    turns = [(cell, index) for cell, indices in cells.items() for index in indices]
    often = 0.1 if sys.stderr.isatty() else 10.0  # s; each slice in a log would be a page
    hidden = {"disable": not progress, "leave": False}
    with tqdm(total=ROUNDS * len(turns), desc="measuring", unit="slice", mininterval=often, **hidden) as bar:
        for number in range(1, ROUNDS + 1):
            bar.set_description(f"measuring, round {number} of {ROUNDS}")
            for (what, batch), index in turns:
                row = rows[index]
                bar.set_postfix_str(f"{row.title}, batch {batch}", refresh=False)
                bar.update()
                if row.reason:
                    continue
                try:
                    told = children[index].ask("time", what=what, batch=batch, seconds=seconds / ROUNDS)
                except WorkerError as error:
                    row.reason = str(error)
                    continue
                row.seconds[what, batch] += told["seconds"]
                if (what, batch) == (WHOLE, 1) and told["joules"] is not None:
                    row.joules = (row.joules or 0.0) + told["joules"]
