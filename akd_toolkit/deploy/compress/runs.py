"""A finished run, or every finished run of an experiment, through a pipeline of compressions."""

from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from akd_toolkit.deploy.bench.machine import cpu_name
from akd_toolkit.deploy.compress.pipeline import records_of, run_steps
from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.deploy.compress.steps import build_steps, read_steps
from akd_toolkit.deploy.compress.table import table_of, write_table
from akd_toolkit.experiment.paths import ExperimentPaths, of_fold
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.parallel import run_tasks


def compress(
    folder: str | Path,
    steps: str | Path | None = None,
    to: str | Path | None = None,
    store: str | Path | None = None,
    jobs: int = 1,
) -> Path:
    """Compress a finished outer run, or all that are finished of an experiment; returns the table's file.

    Arguments
    ---------
    folder
        A run such as ``results/akd/seed17/fold1/outer``, or an experiment such as ``results/akd``.
    steps
        YAML of the pipeline; None for the default (``hparams/compress.yaml``).
    to
        Where everything goes; None for ``compressed`` in ``folder``.
    store
        The recipe's ``store_folder``; None looks for one in the experiment's folder and in the three above it.
    jobs
        How many runs are compressed side by side, >= 1.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such run, the pipeline makes no sense or does not suit the student, or what a step that trains
        needs is not at hand.
    """
    folder, planned = Path(folder), read_steps(steps)
    to = ExperimentPaths(folder).compressed if to is None else Path(to)
    sources, title = _sources(folder, to, None if store is None else Path(store))
    for spec in {str(each): each for each in (source.run.record.student for source in sources)}.values():
        for step in planned:
            step.compression.check(spec)
    with tqdm(total=len(sources), desc="compressing", unit="run", disable=len(sources) == 1) as bar:
        do = partial(_compress_one, specs=[step.spec for step in planned], in_worker=jobs > 1)
        run_tasks(do, sources, jobs, on_done=bar.update)
    records = [records_of(source, planned) for source in tqdm(sources, desc="latency", unit="run", leave=False)]
    table = table_of([source.to for source in sources], records, planned, sources[0].experiment.label_order)
    window_s = sources[0].run.record.window_s
    busy = next((record["busy"] for of_run in records for record in of_run.values() if record["busy"]), "")
    return write_table(to, table, f"{title}, compressed", window_s, cpu_name(), busy)


def _sources(folder: Path, to: Path, store: Path | None) -> tuple[list[Source], str]:
    """What is to be compressed, each with a folder of its own, and what that is called."""
    if not ExperimentPaths(folder).exists:
        experiment, run = Experiment.of_run(folder)
        return [Source(experiment, run, to, store)], f"{experiment.title}, {run.name}"
    experiment = Experiment.read(folder)
    runs = experiment.finished_runs()
    sources = [Source(experiment, run, of_fold(to, run.seed, run.fold), store) for run in runs]
    return sources, f"{experiment.title}, {len(runs)} runs"


def _compress_one(source: Source, specs: list[dict], in_worker: bool) -> None:
    if in_worker:
        torch.set_num_threads(1)
    run_steps(source, build_steps(specs))
