"""A compression of one run, step by step; what is done stays done."""

import json
import logging
import os
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from torch import nn

from akd_toolkit import __version__
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.deploy.bench.machine import busy_warning, cpu_name, num_cores
from akd_toolkit.deploy.compress.base import Work
from akd_toolkit.deploy.compress.measures import latencies, measure
from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.deploy.compress.steps import Step
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.experiment.locks import locked
from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.inference.engine import ONNX_FILE
from akd_toolkit.models.storage import load_student
from akd_toolkit.training.checkpointer import remove_checkpoints

logger = logging.getLogger(__name__)

ORIGINAL = "0-original"
RECORD = "step.json"  # what a step was asked for and, once it is done, what was measured
LATENCIES = "latency.json"


def run_steps(source: Source, steps: list[Step], progress: bool = True) -> None:
    """Do what is not done yet; the folder of each step gets its student, its file, its scores and its record.

    A step is done again when its options, those of a step before it, or the run's student have changed. A step that
    makes a file hands the student on as it found it.

    Raises
    ------
    ValueError
        If another process is at it, or the folder of a step holds something else.
    """
    before, exported = source.run.folder, source.to / ORIGINAL / ONNX_FILE
    with locked(RunPaths(source.to).lock):
        _step(source, None, _asked(source, steps, 0), before, exported, progress)
        for step in steps:
            _step(source, step, _asked(source, steps, step.number), before, exported, progress)
            if step.compression.file is None:
                before, exported = source.to / step.title, source.to / step.title / ONNX_FILE


def files_of(to: Path, steps: list[Step]) -> dict[str, Path]:
    """Title -> the file that each step left, the original's first."""
    made = {step.title: to / step.title / (step.compression.file or ONNX_FILE) for step in steps}
    return {ORIGINAL: to / ORIGINAL / ONNX_FILE, **made}


def records_of(source: Source, steps: list[Step]) -> dict[str, dict]:
    """Title -> what was measured of each step, latencies included.

    These are taken anew where a file is newer, or where another processor or ONNX Runtime took them; ``busy`` is what
    was to be said of the machine then. Called when nothing else of ours runs, because it measures time.
    """
    files = files_of(source.to, steps)
    records = {title: _read(file.parent / RECORD)["measured"] for title, file in files.items()}
    stamps = {title: file.stat().st_mtime_ns for title, file in files.items()}
    of = {"files": stamps, "cpu": cpu_name(), "onnxruntime": version("onnxruntime")}
    told = _read(source.to / LATENCIES)
    if told.get("of") != of:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        busy = busy_warning(load, num_cores())
        told = {"of": of, "busy": busy, "ms": latencies(files, source.run.record.window_s)}
        write_text_aside(source.to / LATENCIES, json.dumps(told, indent=2) + "\n")
    return {title: {**record, "ms": told["ms"][title], "busy": told["busy"]} for title, record in records.items()}


def _step(source: Source, step: Step | None, asked: dict, before: Path, exported: Path, progress: bool) -> None:
    """One step, or for None the beginning: the run's own student in the format of the others."""
    folder = source.to / (step.title if step else ORIGINAL)
    record = _read(folder / RECORD)
    made = folder / (step.compression.file or ONNX_FILE if step else ONNX_FILE)
    if record.get("asked") == asked and record.get("measured") and made.is_file():
        return
    if record.get("asked") != asked:
        if folder.exists() and not (folder / RECORD).exists():
            raise ValueError(f"{folder} holds no step of a compression and would be overwritten; give another --to.")
        shutil.rmtree(folder, ignore_errors=True)  # nothing of another pipeline is continued
        write_text_aside(folder / RECORD, json.dumps({"asked": asked}, indent=2) + "\n")
    logger.info("%s: %s", source.run.name, folder.name)
    student, about = load_student(before)
    if step is None:
        _export(student, about, file := exported)
    else:
        work = Work(source, student, about["student"], step.number, folder, progress)
        student, file = _apply(step, work, about, exported)
    measured = measure(file, student, source.heldout, source.run.record.window_s, progress)
    write_text_aside(folder / RECORD, json.dumps({"asked": asked, "measured": measured}, indent=2) + "\n")
    remove_checkpoints(folder)


def _apply(step: Step, work: Work, about: dict, exported: Path) -> tuple[nn.Module, Path]:
    """The student after a step, and the file that stands for it."""
    student, file = work.student, exported
    if step.compression.changes_student:
        student, spec = step.compression.change(work)
        done = (*about.get("compressed_by", ()), step.whole_spec)  # of the student itself: files change no weights
        record = replace(work.source.run.record, student=spec, compressed_by=done)
        record.write(RunPaths(work.folder), student)
        _export(student, about, file := work.folder / ONNX_FILE)
    if step.compression.file:
        target = work.folder / step.compression.file
        step.compression.write(work, file, target)
        file = target
    return student, file


def _asked(source: Source, steps: list[Step], count: int) -> dict:
    """What the result of the first ``count`` steps depends on."""
    record = source.run.record
    about = {"student": record.student, "label_order": list(record.label_order)}
    return {
        "steps": [step.whole_spec for step in steps[:count]],
        "of": source.weights_hash,
        "about": {**about, "window_s": record.window_s, "test_overlap_s": record.test_overlap_s},
        "manifest": source.experiment.manifest.hash,
        "akd_toolkit": __version__,
    }


def _export(student, about: dict, file: Path) -> None:
    rate, window_s = about.get("sample_rate_hz", 16000), about.get("window_s", 3.0)
    export_onnx(student, file, about["label_order"], rate, window_s, about=about)


def _read(path: Path) -> dict:
    """A file of our own; one that is missing or damaged tells nothing, and what it told of is done again."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
