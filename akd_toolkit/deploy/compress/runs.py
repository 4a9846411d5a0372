"""``akd compress``: the finished runs of an experiment through the steps, and the table of what each step costs."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.deploy.bench.machine import busy_warning, cpu_name, num_cores
from akd_toolkit.deploy.compress.pipeline import ORIGINAL, files_of, records_of, run_steps, scores_file
from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.deploy.compress.steps import Step, build_steps, read_steps
from akd_toolkit.evaluate.report.summary import compare
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.paths import ExperimentPaths, of_fold
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua, wa
from akd_toolkit.parallel import run_tasks

MEASURED = {"kb": "{:.0f}", "parameters": "{:,.0f}", "gflops": "{:.4f}", "ms": "{:.2f}"}
HEADER = ["step", "options", "file", "KB", "parameters", "GFLOPs", "ms", "WA", "UA", "WA change", "UA change"]
MIN_SPEAKERS = 4  # for an interval over speakers
NOTE = (
    "KB are 1000 bytes; GFLOPs and ms are of one window of {window_s:g} s, features included; ms: median of ONNX "
    "Runtime on {cpu}, one thread, batch 1, all files in turn. Scores are of the exported files, on speakers used "
    "neither in training nor in calibration; changes, in points, are against the original{interval}."
)
INTERVAL = ", with a paired 95 % interval over speakers"


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
    busy = busy_warning(os.getloadavg()[0] if hasattr(os, "getloadavg") else None, num_cores())
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

    ``places`` are the folders of the runs' steps, ``records`` what ``records_of`` returns of each.
    """
    rows, first = [], None
    for title, options in {ORIGINAL: "", **{step.title: step.options for step in steps}}.items():
        files = [files_of(place, steps)[title] for place in places]
        scores = pd.concat([read_scores(scores_file(file), label_order) for file in files], ignore_index=True)
        first = scores if first is None else first
        measured = pd.DataFrame([record[title] for record in records])[list(MEASURED)].mean().to_dict()
        rows.append({"step": title, "options": options, "file": files[0].name, **measured, **_scores(scores, first)})
    return pd.DataFrame(rows)


def _scores(scores: pd.DataFrame, first: pd.DataFrame) -> dict:
    """WA and UA (mean over seeds of the pooled score), their changes, and the interval of UA; percent and points."""
    now, before = (
        {
            name: 100 * float(np.mean([score(run["truth"], run["prediction"]) for _, run in table.groupby("seed")]))
            for name, score in (("wa", wa), ("ua", ua))
        }
        for table in (scores, first)
    )
    result = {**now, **{f"{name}_change": now[name] - before[name] for name in now}}
    if scores is not first and scores["speaker"].nunique() >= MIN_SPEAKERS:
        found = compare(scores, first)
        result |= {"ua_low": 100 * found["ua_low"], "ua_high": 100 * found["ua_high"], "ua_p": found["ua_p"]}
    return result


def table_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    cells = []
    for row in table.to_dict("records"):
        changes = ["", ""] if row["step"] == ORIGINAL else [f"{row[f'{name}_change']:+.1f}" for name in ("wa", "ua")]
        if pd.notna(row.get("ua_low")):
            changes[1] += f" [{row['ua_low']:+.1f}, {row['ua_high']:+.1f}]"
        numbers = [form.format(row[name]) for name, form in MEASURED.items()]
        texts = [row["step"], row["options"], row["file"]]
        cells.append([*texts, *numbers, f"{row['wa']:.1f}", f"{row['ua']:.1f}", *changes])
    return markdown_table(HEADER, cells, left=3)
