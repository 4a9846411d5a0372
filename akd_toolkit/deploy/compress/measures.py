"""What is measured of every step: size, operations, scores on the held-out speakers, latency."""

from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import ONNX_FILE
from akd_toolkit.deploy.bench.operations import operations_of_module
from akd_toolkit.deploy.bench.timing import percentile_ms, time_calls
from akd_toolkit.evaluate.heldout import Heldout, score
from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.inference.engine import open_engine

ROUNDS, CALLS = 20, 10  # every file is called so often in turn


def scores_file(file: Path) -> Path:
    """Where the scores of an exported file lie: in scores.csv, but where that is of the student that lies beside it.

    Example
    -------
    >>> scores_file(Path("2-quantize/student.int8.onnx")).name
    'scores.csv'
    """
    of_student = RunPaths(file.parent)
    beside = file.name != ONNX_FILE and of_student.student.is_file()
    return file.parent / f"{file.stem}.{of_student.scores.name}" if beside else of_student.scores


def measure(file: Path, student: nn.Module, heldout: Heldout, window_s: float, progress: bool = True) -> dict:
    """Size in KB (of 1000 bytes), parameters and GFLOPs of one window; writes the scores of the file.

    Where the step also left a changed student, its own scores.csv is written too.
    """
    for each in {file, *file.parent.glob(ONNX_FILE)}:
        scores = score(open_engine(each), heldout, title=file.parent.name, progress=progress)
        write_scores(scores_file(each), scores)
    return {
        "kb": round(file.stat().st_size / 1000, 1),
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "gflops": round(operations_of_module(student.eval(), round(window_s * SAMPLE_RATE_HZ)) / 1e9, 5),
    }


def latencies(files: dict[str, Path], window_s: float, rounds: int = ROUNDS, calls: int = CALLS) -> dict[str, float]:
    """Median ms of each file on one window of noise: ONNX Runtime, one thread, batch 1, files in turn.

    In turn, so that what else the machine does slows all of them alike.
    """
    engines = {title: open_engine(file, backend="onnx", threads=1) for title, file in files.items()}
    noise = np.random.default_rng(0).standard_normal((1, round(window_s * SAMPLE_RATE_HZ)))
    waveform = (0.1 * noise).astype(np.float32)
    seconds: dict[str, list[float]] = {title: [] for title in files}
    for _ in range(rounds):
        for title, engine in engines.items():
            seconds[title] += time_calls(partial(engine, waveform), seconds=0.0, fewest=calls, warm_up=2)
    return {title: round(percentile_ms(taken, 50), 4) for title, taken in seconds.items()}
