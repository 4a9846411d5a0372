"""Students of one corpus asked about another, without any training on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.batches import Batch
from akd_toolkit.data.draws import scoring_batches
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.evaluate.report.summary import deviation
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.evaluate.studies.answering import (
    BATCH_SIZE,
    Answer,
    Condition,
    finished_runs,
    is_current,
    key_of,
    part_of,
    read_manifest,
    read_parts,
    run_all,
    student_of,
    waveforms_of,
    with_windows,
    write_part,
)
from akd_toolkit.evaluate.studies.heard import heard_without_labels, refuse_shared_recordings
from akd_toolkit.evaluate.studies.labels import common_name, read_label_map, scores_on_shared, shared_labels, to_shared
from akd_toolkit.evaluate.studies.tables import SUMMARY, percent, score_row, system_names, with_marks, write_table
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.scores import ua, wa
from akd_toolkit.training.posteriors import predict

STUDY = "cross"


@dataclass(frozen=True)
class CrossTask:
    """One student and all utterances of another corpus whose class both corpora have."""

    other: Path
    own_labels: tuple[str, ...]
    shared: tuple[str, ...]
    names: dict[str, str | None]
    condition: Condition
    asked: Answer


def cross_study(
    experiment: Experiment,
    on: str | Path,
    labels: str | Path | None = None,
    unlabelled: str | Path | None = None,
    jobs: int = 1,
) -> Path:
    """Let every outer student answer all utterances of another corpus; returns the table's path.

    Classes that only one corpus has are left out: utterances of them, and the posteriors of them, which are made to sum
    to 1 over the shared ones. The same is done to the stored scores on the students' own corpus, to compare with.

    Arguments
    ---------
    on
        Folder with the manifest.csv of the other corpus: its store or any experiment on it.
    labels
        YAML file that changes which labels are the same; see ``read_label_map``.
    unlabelled
        manifest.csv of the speech without labels that the experiment was trained with, where it is in no store beside.
    jobs
        How many students answer side by side.

    Raises
    ------
    ValueError
        If the other corpus holds recordings that were trained on, or shares fewer than two classes.
    """
    runs = finished_runs(experiment)
    path = _manifest_of(Path(on))
    other, names = read_manifest(path), read_label_map(labels)
    refuse_shared_recordings(experiment, other)
    shared = shared_labels(experiment.label_order, other.label_order, names)
    tested = _of_shared(other, shared, names)
    verdict, sentence = heard_without_labels(experiment, tested, Manifest.read(unlabelled) if unlabelled else None)
    study, tasks, parts = f"{STUDY}-{other.corpus}", [], []
    for run in runs:
        condition = with_windows([Condition(f"all of {other.corpus}")], run.record)[0]
        part = part_of(experiment, study, run, condition)
        key = key_of(run, condition, other, *shared, repr(sorted(names.items())))
        parts.append(part)
        if not is_current(part, key):
            asked = Answer(run.folder, part, key, run.seed, run.fold)
            tasks.append(CrossTask(path, experiment.label_order, tuple(shared), names, condition, asked))
    run_all(tasks, answer_cross, study, jobs)
    within = scores_on_shared(experiment.scores(runs), shared, names)
    # Every student answers the same utterances, so that a run stands where a seed stands elsewhere.
    across = pd.concat([read_parts([part]).assign(seed=n, fold=1) for n, part in enumerate(parts)], ignore_index=True)
    rows = [_row(experiment.manifest.corpus, within, across=False), _row(other.corpus, across, across=True)]
    table = pd.DataFrame(rows).assign(
        system=system_names([experiment])[0], heard=["", verdict], classes=" ".join(shared)
    )
    return _write(experiment.paths.study(study), with_marks(table, [experiment]), experiment, other, names, sentence)


def answer_cross(task: CrossTask, progress: bool = False) -> None:
    """Ask one student about the other corpus, and write its scores over the shared classes."""
    other = _of_shared(read_manifest(task.other), task.shared, task.names)
    window = task.condition.window_s, task.condition.overlap_s
    posteriors = predict(student_of(task.asked.student, task.own_labels), _batches(other, *window, progress))
    probs = to_shared(np.stack([posteriors[name] for name in other.ids]), task.own_labels, task.shared, task.names)
    truth = [common_name(row.emotion, task.names) for row in other]
    write_part(task.asked, task.condition, other, truth, probs, task.shared)


def _of_shared(other: Manifest, shared: Sequence[str], names: Mapping) -> Manifest:
    """The utterances of shared classes."""
    rows = tuple(row for row in other if common_name(row.emotion, names) in shared)
    return replace(other, utterances=rows)


@lru_cache(maxsize=1)
def _batches(other: Manifest, window_s: float, overlap_s: float, progress: bool) -> list[Batch]:
    return list(scoring_batches(other, waveforms_of(other, progress).__getitem__, window_s, overlap_s, BATCH_SIZE))


def _manifest_of(folder: Path) -> Path:
    """The manifest in a folder, or of an experiment that finds it in the folder above.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    paths = ExperimentPaths(folder)
    if paths.manifest.is_file() and (paths.exists or paths.manifest.parent == folder):
        return paths.manifest
    raise FileNotFoundError(
        f"{folder} holds no corpus (manifest.csv is missing); give the output_folder of a recipe on the other corpus."
    )


def _row(corpus: str, scores: pd.DataFrame, across: bool) -> dict:
    """Means and deviations over folds and seeds, and the pooled score with its interval over speakers."""
    runs = [run for _, run in scores.groupby(["seed", "fold"])]
    row = score_row(scores)
    for name, measure in (("wa", wa), ("ua", ua)):
        of_run = [measure(run["truth"], run["prediction"]) for run in runs]
        row[f"{name}_mean"], row[f"{name}_std"] = float(np.mean(of_run)), deviation(of_run)
    kept = {name: row[name] for name in (*SUMMARY, "utterances", "speakers")}
    return {"tested_on": corpus, "across": across, "runs": len(runs), **kept}


def _write(folder: Path, table: pd.DataFrame, experiment, other: Manifest, names: Mapping, sentence: str) -> Path:
    mine, shared = experiment.manifest, table["classes"].iloc[0].split()
    dropped = [
        f"{corpus.corpus}'s {', '.join(gone)}"
        for corpus in (mine, other)
        if (gone := [label for label in corpus.label_order if common_name(label, names) not in shared])
    ]
    protocol = (
        f"Students that learned the labels of {mine.corpus} alone (one a fold and seed, each from its fold's training "
        f"speakers) answered {other.corpus}, of which they saw no label; {len(shared)} classes are shared "
        f"({', '.join(shared)})" + (f", and {' and '.join(dropped)} left out." if dropped else ".")
    )
    measures = (
        "WA and UA are means and deviations over the runs; pooled they are means over the runs on all utterances, with "
        "95 % intervals over the tested speakers. On its own corpus each run is scored on its outer "
        f"test speakers, among the same classes. Guessing gives {100 / len(shared):.1f} UA."
    )
    lines = [
        [
            f"{mine.corpus} → {row['tested_on']}" if row["across"] else f"{mine.corpus}, unseen speakers",
            row["utterances"],
            row["speakers"],
            row["runs"],
            *(f"{100 * row[f'{name}_mean']:.1f} ± {100 * row[f'{name}_std']:.1f}" for name in ("wa", "ua")),
            *(percent(row, f"{name}_pooled", name) for name in ("wa", "ua")),
            {"": "", "no": "no", "yes": "**yes, unlabelled**", "unknown": "**not known**"}[row["heard"]],
        ]
        for _, row in table.iterrows()
    ]
    header = ["trained → tested", "utterances", "speakers", "runs", "WA, runs", "UA, runs"]
    header += ["WA pooled [95 %]", "UA pooled [95 %]", "tested speech heard in training"]
    title = f"{table['system'].iloc[0]}, tested on {other.corpus}"
    return write_table(folder, table, title, [protocol, sentence, measures], [markdown_table(header, lines)])
