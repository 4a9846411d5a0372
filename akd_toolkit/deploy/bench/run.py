"""The benchmark: every row in its own process, timed interleaved."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from akd_toolkit.deploy.bench.backends import BACKENDS, PEERS, check_options, thread_counts
from akd_toolkit.deploy.bench.measures import describe_machine
from akd_toolkit.deploy.bench.sources import generated_signals, open_source, peer_rows, student_rows
from akd_toolkit.deploy.bench.table import FEATURES, ROUNDS, WHOLE, Bench, Row
from akd_toolkit.deploy.export.onnx import quiet
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)


def run_bench(
    sources: Sequence[str | Path],
    backends: Sequence[str] = tuple(BACKENDS),
    peers: Sequence[str] = tuple(PEERS),
    threads: Sequence[int | str] = (1, "all"),
    batches: Sequence[int] = (1, 8, 32),
    window_s: float = 3.0,
    seconds: float = 2.0,
) -> Bench:
    """Measure students and peers on every backend of this machine; options as of ``akd bench``.

    In each round every row gets a slice of every batch size, one after the other, so that a disturbance hits all alike;
    percentiles are over the calls of all rounds. Ctrl-C ends the measurement and keeps what was measured. ValueError if
    an option is out of range, or a source, backend or peer is unknown.
    """
    check_options(sources, backends, peers, threads, batches, window_s, seconds)
    threads, batches = thread_counts(threads), sorted({1, *batches})
    bench = Bench([], describe_machine())
    bench.options = {"sources": [str(source) for source in sources], "window_s": window_s, "seconds": seconds}
    bench.options |= {"batches": batches, "threads": threads}
    with tempfile.TemporaryDirectory(prefix="akd-bench-") as folder, ExitStack() as workers:
        work = Path(folder)
        signals = generated_signals(max(batches), window_s)
        np.save(work / "signals.npy", signals)
        try:
            with quiet():  # it would name temporary files
                bench.rows = _rows(sources, backends, peers, threads, work, signals)
            turns = []
            waiting = [row for row in bench.rows if not row.reason]
            with tqdm(waiting, desc="starting", unit="row", leave=False) as bar:
                for row in bar:
                    bar.set_postfix_str(row.title)
                    worker = WorkerProcess(row, work)
                    workers.callback(worker.close)
                    turns += [(what, batch, row, worker) for what, batch in _first_calls(worker, row, batches, seconds)]
            _measure(sorted(turns, key=lambda turn: (turn[0] == FEATURES, turn[1])), seconds / ROUNDS)
        except KeyboardInterrupt:
            bench.stopped = True
            logger.warning("stopped; the rows below were measured before.")
    for row in bench.rows:
        if not row.measured and not row.reason:
            row.reason = "stopped before it was measured"
    return bench


def _rows(sources, backends, peers, threads, work, signals) -> list[Row]:
    rows: list[Row] = []
    with tqdm([*sources, *peers], desc="preparing", unit="model", leave=False) as bar:
        for index, name in enumerate(bar):
            bar.set_postfix_str(str(name))
            if index >= len(sources):
                rows += peer_rows(name, threads, work / name, signals)
                continue
            model = open_source(name, work / f"source{index}", signals)
            if any(row.model == model.title for row in rows):
                model.title += f" ({name})"
            rows += student_rows(model, backends, threads)
    return rows


def _first_calls(worker: "WorkerProcess", row: Row, batches: list[int], seconds: float) -> list[tuple[str, int]]:
    """Load the row and call it with every batch size that fits in the seconds; returns these (what, batch)."""
    fitting, of_one = [], 0.0
    for batch in batches:
        if of_one * batch > seconds:
            break
        try:
            reply = worker.call(WHOLE, batch, 0)
        except WorkerError as error:
            if batch == 1:
                row.reason = str(error)
                return []
            row.note = f"{row.note}; batch {batch}: {error}".removeprefix("; ")
            break
        of_one = reply["seconds"][-1] / batch
        if batch == 1:
            row.memory_mb = reply["memory_bytes"] / 1e6
        fitting.append((WHOLE, batch))
    if row.features:
        try:
            worker.call(FEATURES, 1, 0)
            fitting.append((FEATURES, 1))
        except WorkerError as error:
            logger.warning("%s: the features cannot be timed alone (%s).", row.title, error)
    return fitting


def _measure(turns: list[tuple], seconds: float) -> None:
    """Time every turn (what, batch, row, its worker) in each round."""
    often = 0.1 if sys.stderr.isatty() else 10.0  # s; a line for each slice would flood a log
    with tqdm(total=ROUNDS * len(turns), unit="slice", mininterval=often, leave=False) as bar:
        for number in range(1, ROUNDS + 1):
            bar.set_description(f"measuring, round {number} of {ROUNDS}")
            for what, batch, row, worker in turns:
                bar.set_postfix_str(f"{row.title}, batch {batch}", refresh=False)
                bar.update()
                if row.reason:
                    continue
                try:
                    reply = worker.call(what, batch, seconds)
                except WorkerError as error:
                    row.reason = str(error)
                    continue
                row.seconds[what, batch] += reply["seconds"]
                if (what, batch) == (WHOLE, 1) and reply["joules"] is not None:
                    row.joules = (row.joules or 0.0) + reply["joules"]


class WorkerError(RuntimeError):
    """A worker failed; the message is the reason."""


class WorkerProcess:
    """The process of one row (``worker.py``), with its threads fixed before anything is imported.

    ``work`` holds ``signals.npy`` and what the process leaves behind, such as compiled kernels.
    """

    def __init__(self, row: Row, work: Path):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        environment = {
            **os.environ,
            **dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], str(row.threads)),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONWARNINGS": "ignore",
            "HF_HUB_OFFLINE": "1",
            # Kernels are compiled in the process itself: a warm cache or a pool would hide their memory.
            "TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "akd_toolkit.deploy.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            start_new_session=True,  # Ctrl-C is handled by the benchmark alone
            text=True,
            encoding="utf-8",
        )
        job = {"signals": str(work / "signals.npy"), "threads": row.threads, "on_gpu": row.on_gpu}
        self._send({**job, WHOLE: [row.loader, row.path], FEATURES: row.features})

    def call(self, what: str, batch: int, seconds: float) -> dict:
        """The reply of ``worker.serve``; WorkerError if the model failed or the process died."""
        self._send([what, batch, seconds])
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": self._how_it_ended()}
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _send(self, message) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it died: the missing reply shows it

    def _how_it_ended(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"its process ended {how}" + (f": {lines[-1]}" if lines else "")
