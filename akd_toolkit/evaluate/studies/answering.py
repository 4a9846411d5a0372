"""Stored students asked again: the same utterances under another condition, no training.

The unit of work is one condition over one group of speakers: every utterance is disturbed once, and all students that
these speakers are a test for (every seed, every system of the same split) answer the same sound. Each answer is a file
of scores, written whole; a file that was made by the same student from the same recordings under the same condition is
not computed again.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from akd_toolkit.data.draws import scoring_batches
from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.evaluate.studies.disturbances import CLEAN, VERSION, disturb
from akd_toolkit.experiment.paths import of_fold
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.scores_file import make_scores, read_scores, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.models.storage import load_student
from akd_toolkit.parallel import run_tasks
from akd_toolkit.training.posteriors import predict

BATCH_SIZE = 32


@dataclass(frozen=True)
class Condition:
    """What is changed for the test.

    Arguments
    ---------
    name
        As it stands in tables.
    kind, level
        As ``disturb`` takes them.
    window_s, overlap_s
        Of the test windows, in seconds; None for the student's own.
    """

    name: str
    kind: str = CLEAN
    level: float | None = None
    window_s: float | None = None
    overlap_s: float | None = None

    @property
    def file(self) -> str:
        """Name of its file of scores.

        Example
        -------
        >>> Condition("white noise, 0 dB").file
        'white-noise-0-dB.csv'
        """
        return "-".join("".join(sign if sign.isalnum() or sign in "._" else " " for sign in self.name).split()) + ".csv"


@dataclass(frozen=True)
class Answer:
    """One student under one condition: where it lies, and where its scores go."""

    student: Path
    part: Path
    key: str
    seed: int
    fold: int


@dataclass(frozen=True)
class Task:
    """One condition over one group of speakers, for all students that it is a test for."""

    manifest: Path
    test_speakers: tuple[str, ...]
    train_speakers: tuple[str, ...]
    condition: Condition
    answers: list[Answer]


def answer(
    experiments: Sequence[Experiment], study: str, conditions: Sequence[Condition], jobs: int = 1
) -> list[dict[str, pd.DataFrame]]:
    """Scores of every experiment's outer students on their own test speakers, under every condition.

    Arguments
    ---------
    study
        Names the folder below ``FOLDER/studies`` that the scores go to, one file a run and condition.
    jobs
        How many conditions are computed side by side.

    Returns
    -------
    list of dict
        For each experiment: name of the condition -> scores of all runs.

    Raises
    ------
    ValueError
        If an experiment is not finished, or has no students, or its recordings cannot be read.
    """
    tasks: dict[tuple, Task] = {}
    parts: list[dict[str, list[Path]]] = []
    for experiment in experiments:
        found: dict[str, list[Path]] = {condition.name: [] for condition in conditions}
        for run in finished_runs(experiment):
            for condition in with_windows(conditions, run.record):
                part = part_of(experiment, study, run, condition)
                key = key_of(run, condition, experiment.manifest)
                found[condition.name].append(part)
                if not is_current(part, key):
                    group = run.test_speakers, run.train_speakers, condition
                    new = Task(experiment.paths.manifest, *group, answers=[])
                    task = tasks.setdefault((experiment.manifest.hash, *group), new)
                    task.answers.append(Answer(run.folder, part, key, run.seed, run.fold))
        parts.append(found)
    run_all(list(tasks.values()), answer_task, study, jobs)
    with tqdm(total=len(parts) * len(conditions), desc=f"{study} study: reading", unit="condition") as bar:
        return [{name: read_parts(files, bar) for name, files in found.items()} for found in parts]


def finished_runs(experiment: Experiment) -> list[PlannedRun]:
    """The outer runs of a finished experiment.

    Raises
    ------
    ValueError
        If it has none, or some are not done.
    """
    runs = experiment.outer_runs()
    missing = [run.name for run in runs if not run.done]
    if not runs:
        raise ValueError(
            f"{experiment.folder} holds no student: its recipe scores teachers alone; give another folder."
        )
    if missing:
        raise ValueError(
            f"{experiment.folder} is not finished: {len(missing)} of {len(runs)} outer runs are missing (first: "
            f"{missing[0]}); run its recipe to the end first."
        )
    return runs


def with_windows(conditions: Iterable[Condition], record: RunRecord) -> list[Condition]:
    """The conditions with the student's own windows where they leave them open."""
    filled = []
    for condition in conditions:
        window_s = record.window_s if condition.window_s is None else condition.window_s
        overlap_s = record.test_overlap_s if condition.overlap_s is None else condition.overlap_s
        filled.append(Condition(condition.name, condition.kind, condition.level, window_s, overlap_s))
    return filled


def part_of(experiment: Experiment, study: str, run: PlannedRun, condition: Condition) -> Path:
    """Where the scores of one run under one condition lie."""
    return of_fold(experiment.paths.study(study), run.seed, run.fold) / condition.file


def key_of(run: PlannedRun, condition: Condition, manifest: Manifest, *more: str) -> str:
    """16 hex digits over everything that the scores depend on: weights, recordings, condition, other speakers."""
    path = run.paths.weights
    if not path.is_file():
        raise FileNotFoundError(f"{run.folder} holds no trained student: {path.name} is missing; run its recipe again.")
    facts = VERSION, _sha256(path, path.stat().st_mtime_ns), manifest.hash, condition, run.train_speakers, more
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def is_current(part: Path, key: str) -> bool:
    """Whether the scores there were made of exactly this."""
    try:
        return pd.read_csv(part, usecols=["key"], nrows=1, dtype=str)["key"].tolist() == [key]
    except (OSError, ValueError):
        return False


def run_all(tasks: list, function, study: str, jobs: int) -> None:
    """Run tasks under a progress bar; what is done stays done when it is stopped."""
    with tqdm(total=len(tasks), desc=f"{study} study", unit="condition", disable=not tasks) as bar:
        run_tasks(partial(function, progress=jobs == 1), tasks, jobs, on_done=bar.update)


def answer_task(task: Task, progress: bool = False) -> None:
    """Disturb the utterances of a task once, and let every student answer."""
    manifest = read_manifest(task.manifest)
    test, clean = manifest.of(task.test_speakers), waveforms_of(manifest, progress)
    voices = _voices(manifest.of(task.train_speakers), clean) if task.condition.kind == "babble" else None
    condition = task.condition
    heard = {name: disturb(clean[name], condition.kind, condition.level, name, voices) for name in test.ids}
    windows = condition.window_s, condition.overlap_s, BATCH_SIZE
    batches = list(scoring_batches(test, heard.__getitem__, *windows))
    for asked in task.answers:
        posteriors = predict(student_of(asked.student, test.label_order), batches)
        probs = np.stack([posteriors[name] for name in test.ids])
        write_part(asked, condition, test, [row.emotion for row in test], probs, test.label_order)


def write_part(asked: Answer, condition: Condition, test: Manifest, truth, probs: np.ndarray, label_order) -> None:
    """Write one file of scores, with the condition and the key of what it was made of."""
    speakers = [row.speaker for row in test]
    scores = make_scores(test.ids, speakers, truth, probs, label_order, asked.fold, asked.seed)
    write_scores(asked.part, scores.assign(condition=condition.name, key=asked.key))


def read_parts(files: Sequence[Path], bar: tqdm | None = None) -> pd.DataFrame:
    """Scores of several files in one table, less what only says how they were made; a step on the bar for all."""
    scores = pd.concat([read_scores(file) for file in files], ignore_index=True).drop(columns=["condition", "key"])
    if bar is not None:
        bar.update()
    return scores


@lru_cache(maxsize=4)
def read_manifest(path: Path) -> Manifest:
    """A manifest, read once a process."""
    return Manifest.read(path)


@lru_cache(maxsize=1)
def waveforms_of(manifest: Manifest, progress: bool) -> dict[str, np.ndarray]:
    """The clean waveforms of a corpus by ID, read once a process."""
    return load_waveforms(manifest, progress)


@lru_cache(maxsize=8)
def student_of(folder: Path, label_order: tuple[str, ...]) -> torch.nn.Module:
    """A stored student, if it orders classes as its corpus does."""
    student, about = load_student(folder)
    if tuple(about["label_order"]) != tuple(label_order):
        raise ValueError(
            f"{folder} orders classes as [{', '.join(about['label_order'])}] and its corpus as "
            f"[{', '.join(label_order)}]; run its recipe again."
        )
    return student


def _voices(train: Manifest, clean: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Speaker -> waveforms."""
    return {speaker: [clean[row.id] for row in train if row.speaker == speaker] for speaker in train.speakers}


@lru_cache(maxsize=1024)
def _sha256(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
