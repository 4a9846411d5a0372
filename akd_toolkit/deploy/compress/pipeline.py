"""``akd compress``: finished runs through the steps, and the table of what each step costs.

Each step writes a student or a file, its scores and measurements; finished steps are kept.
"""

import hashlib
import json
import logging
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from torch import nn

from akd_toolkit import __version__
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import ONNX_FILE, write_text_aside
from akd_toolkit.deploy.bench.measures import (
    busy_warning,
    cpu_name,
    num_cores,
    operations_of_module,
    percentile_ms,
    time_calls,
)
from akd_toolkit.deploy.compress.steps import ORIGINAL, Source, Step, Work, build_steps, read_steps
from akd_toolkit.deploy.export.run import export_saved
from akd_toolkit.deploy.export.speech import score
from akd_toolkit.evaluate.report.summary import by_seed, compare
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths, locked, of_fold
from akd_toolkit.experiment.scores_file import read_scores, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import open_engine
from akd_toolkit.metrics.scores import ua, wa
from akd_toolkit.models.storage import load_student
from akd_toolkit.parallel import run_tasks
from akd_toolkit.progress import tqdm
from akd_toolkit.training.checkpointer import remove_checkpoints

logger = logging.getLogger(__name__)

RECORD = "step.json"  # the inputs of a step ("asked") and, once it is done, the measurements
ROUNDS, CALLS = 20, 10  # of timing, for every file in turn
MEASURED = {"kb": "{:.0f}", "parameters": "{:,.0f}", "gflops": "{:.4f}", "ms": "{:.2f}"}
HEADER = ["step", "options", "file", "KB", "parameters", "GFLOPs", "ms", "WA", "UA", "WA change", "UA change"]
MIN_SPEAKERS = 4  # for an interval over speakers
NOTE = (
    "KB are 1000 bytes; GFLOPs and ms are of one window of {window_s:g} s, features included; ms: median of ONNX "
    "Runtime on {cpu}, one thread, batch 1, all files in turn. Scores are of the exported files, on speakers used "
    "neither in training nor in calibration; changes, in points, are against the original{interval}."
)
INTERVAL = ", with a paired 95 % interval over speakers"


def run_steps(source: Source, steps: list[Step]) -> None:
    """Run the steps that are not done yet; each gets a folder with its student, file, scores and record.

    A step is repeated when its options, a step before it, or the run's student have changed. A step that writes a file
    passes the student on unchanged. ValueError if another process compresses the run, or a folder holds other files.
    """
    before = source.run.folder
    with locked(RunPaths(source.to).lock):
        for count, step in enumerate([ORIGINAL, *steps]):
            _step(source, step, _inputs(source, steps[:count]), before)
            if step is not ORIGINAL and step.compression.file is None:
                before = source.to / step.title


def scores_file(file: Path) -> Path:
    """Where the scores of an exported file are: scores.csv, unless that is of the changed student beside it."""
    paths = RunPaths(file.parent)
    beside = file.name != ONNX_FILE and paths.student.is_file()
    return file.parent / f"{file.stem}.{paths.scores.name}" if beside else paths.scores


def records_of(source: Source, steps: list[Step]) -> dict[str, dict]:
    """Title -> measurements of each step, with its latency ``ms``, taken now: nothing else should be running.

    ``ms`` is the median of ONNX Runtime on one window of noise, one thread, batch 1. The files are called in turn, so
    that other load slows all of them alike.
    """
    files = {step.title: source.to / step.file for step in (ORIGINAL, *steps)}
    engines = {title: open_engine(file, backend="onnx", threads=1) for title, file in files.items()}
    noise = np.random.default_rng(0).standard_normal((1, round(source.run.record.window_s * SAMPLE_RATE_HZ)))
    waveform = (0.1 * noise).astype(np.float32)
    seconds: dict[str, list[float]] = {title: [] for title in files}
    for _ in range(ROUNDS):
        for title, engine in engines.items():
            seconds[title] += time_calls(partial(engine, waveform), seconds=0.0, fewest=CALLS, warm_up=2)
    return {
        title: {**_read(file.parent / RECORD)["measured"], "ms": round(percentile_ms(seconds[title], 50), 4)}
        for title, file in files.items()
    }


def _step(source: Source, step: Step, inputs: dict, before: Path) -> None:
    """Run one step on the student in the folder ``before``, unless it is done."""
    file, folder = source.to / step.file, source.to / step.title
    record = _read(folder / RECORD)
    if record.get("asked") == inputs and record.get("measured") and file.is_file():
        return
    if record.get("asked") != inputs:
        if folder.exists() and not (folder / RECORD).exists():
            raise ValueError(f"{folder} holds no step of a compression and would be overwritten; give another --to.")
        shutil.rmtree(folder, ignore_errors=True)
        write_text_aside(folder / RECORD, json.dumps({"asked": inputs}, indent=2) + "\n")
    logger.info("%s: %s", source.run.name, folder.name)
    student, about = load_student(before)
    exported = (source.to / ORIGINAL.title if before == source.run.folder else before) / ONNX_FILE
    if step is ORIGINAL:
        export_saved(student, about, exported)
    work = Work(source, student, about["student"], step.number, folder)
    if step.compression.changes_student:
        student, spec = step.compression.change(work)
        done = (*about.get("compressed_by", ()), step.whole_spec)  # only steps that change weights are listed
        replace(source.run.record, student=spec, compressed_by=done).write(RunPaths(folder), student)
        exported = folder / ONNX_FILE
        export_saved(student, about, exported)
    if step.compression.file:
        step.compression.write(work, exported, file)
    measured = measure(file, student, source)
    write_text_aside(folder / RECORD, json.dumps({"asked": inputs, "measured": measured}, indent=2) + "\n")
    remove_checkpoints(folder)


def measure(file: Path, student: nn.Module, source: Source) -> dict:
    """Size (KB of 1000 bytes), parameters and GFLOPs of one window; writes the scores of the file.

    Where the step also changed the student, the scores of its own export are written too.
    """
    for each in {file, *file.parent.glob(ONNX_FILE)}:
        test = source.run, source.experiment.manifest, source.heldout
        write_scores(scores_file(each), score(open_engine(each), *test, file.parent.name))
    samples = round(source.run.record.window_s * SAMPLE_RATE_HZ)
    return {
        "kb": round(file.stat().st_size / 1000, 1),
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "gflops": round(operations_of_module(student.eval(), samples) / 1e9, 5),
    }


def _inputs(source: Source, steps: list[Step]) -> dict:
    """Everything that the result of these steps depends on."""
    record = source.run.record
    about = {"student": record.student, "label_order": list(record.label_order)}
    return {
        "steps": [step.whole_spec for step in steps],
        "of": hashlib.sha256(source.run.paths.weights.read_bytes()).hexdigest()[:12],
        "about": {**about, "window_s": record.window_s, "test_overlap_s": record.test_overlap_s},
        "manifest": source.experiment.manifest.hash,
        "akd_toolkit": __version__,
    }


def _read(path: Path) -> dict:
    """A JSON file of ours; {} where it is missing or damaged, so that its step is repeated."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def compress(
    folder: str | Path,
    steps: str | Path | None = None,
    to: str | Path | None = None,
    store: str | Path | None = None,
    jobs: int = 1,
) -> Path:
    """Compress a finished outer run, or all finished runs of an experiment; returns the path of ``compress.md``.

    The arguments are those of ``akd compress``. FileNotFoundError or ValueError where there is no such run, a step does
    not suit the student, or something that training needs is missing.
    """
    folder, planned = Path(folder), read_steps(steps)
    to, store = Path(to or ExperimentPaths(folder).compressed), None if store is None else Path(store)
    if ExperimentPaths(folder).exists:
        experiment = Experiment.read(folder)
        runs = experiment.finished_runs()
        sources = [Source(experiment, run, of_fold(to, run.seed, run.fold), store) for run in runs]
        title = f"{experiment.title}, {len(runs)} runs"
    else:
        experiment, run = Experiment.of_run(folder)
        sources, title = [Source(experiment, run, to, store)], f"{experiment.title}, {run.name}"
    for spec in {str(each): each for each in (source.run.record.student for source in sources)}.values():
        for step in planned:
            step.compression.check(spec)
    with tqdm(total=len(sources), desc="compressing", unit="run", disable=len(sources) == 1) as bar:
        do = partial(_compress_one, specs=[step.spec for step in planned], in_worker=jobs > 1)
        run_tasks(do, sources, jobs, on_done=bar.update)
    busy = busy_warning(psutil.getloadavg()[0], num_cores())
    records = [records_of(source, planned) for source in tqdm(sources, desc="latency", unit="run", leave=False)]
    table = table_of([source.to for source in sources], records, planned, experiment.label_order)
    window_s = sources[0].run.record.window_s
    interval = INTERVAL if "ua_low" in table and table["ua_low"].notna().any() else ""
    note = NOTE.format(window_s=window_s, cpu=cpu_name(), interval=interval)
    parts = [f"# {title}, compressed", table_markdown(table), note, *filter(None, [busy])]
    write_text_aside(to / "compress.csv", table.round(5).to_csv(index=False))
    write_text_aside(to / "compress.md", "\n\n".join(parts) + "\n")
    return to / "compress.md"


def _compress_one(source: Source, specs: list[dict], in_worker: bool) -> None:
    if in_worker:
        torch.set_num_threads(1)
    run_steps(source, build_steps(specs))


def table_of(places: list[Path], records: list[dict[str, dict]], steps: list[Step], label_order) -> pd.DataFrame:
    """One row a step: measurements averaged over runs, and scores pooled over all their test speakers.

    WA and UA are means over seeds of the pooled score, in percent, their changes in points. ``places`` are the folders
    of the runs' steps, ``records`` what ``records_of`` returns of each.
    """
    rows, first = [], None
    for step in (ORIGINAL, *steps):
        files = [scores_file(place / step.file) for place in places]
        scores = pd.concat([read_scores(file, label_order) for file in files], ignore_index=True)
        first = scores if first is None else first
        measured = pd.DataFrame([record[step.title] for record in records])[list(MEASURED)].mean().to_dict()
        row = {"step": step.title, "options": step.options, "file": Path(step.file).name, **measured}
        now, before = (
            {measure.__name__: 100 * float(np.mean([*by_seed(table, measure).values()])) for measure in (wa, ua)}
            for table in (scores, first)
        )
        row |= {**now, **{f"{name}_change": now[name] - before[name] for name in now}}
        if step is not ORIGINAL and scores["speaker"].nunique() >= MIN_SPEAKERS:
            found = compare(scores, first)
            row |= {"ua_low": 100 * found["ua_low"], "ua_high": 100 * found["ua_high"], "ua_p": found["ua_p"]}
        rows.append(row)
    return pd.DataFrame(rows)


def table_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    cells = []
    for row in table.to_dict("records"):
        changes = [f"{row[f'{name}_change']:+.1f}" for name in ("wa", "ua")]
        if row["step"] == ORIGINAL.title:
            changes = ["", ""]
        if pd.notna(row.get("ua_low")):
            changes[1] += f" [{row['ua_low']:+.1f}, {row['ua_high']:+.1f}]"
        numbers = [form.format(row[name]) for name, form in MEASURED.items()]
        texts = [row["step"], row["options"], row["file"]]
        cells.append([*texts, *numbers, f"{row['wa']:.1f}", f"{row['ua']:.1f}", *changes])
    return markdown_table(HEADER, cells, left=3)
