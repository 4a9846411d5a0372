"""Evaluation of stored students under other conditions, without training.

A task is one condition on one set of test speakers: every utterance is disturbed once and scored by all students whose
test it is (all seeds and systems). Scores of each student go to a file of their own; a file that was made from the same
weights, recordings and condition is not computed again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from akd_toolkit.data.draws import scoring_batches
from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.evaluate.studies.disturbances import BABBLE, CLEAN, VERSION, disturb
from akd_toolkit.evaluate.studies.study import finished_runs
from akd_toolkit.experiment.paths import of_fold
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import make_scores, read_scores, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.models.storage import load_student
from akd_toolkit.parallel import run_tasks
from akd_toolkit.progress import tqdm
from akd_toolkit.training.posteriors import predict

# Labels as EmoDB, RAVDESS, IEMOCAP, CREMA-D and their recipes write them. IEMOCAP's excited is merged into happy, as in
# its usual four classes.
COMMON_LABELS = {
    **dict.fromkeys(("anger", "angry", "ang"), "anger"),
    **dict.fromkeys(("happiness", "happy", "hap", "joy", "excited", "exc"), "happiness"),
    **dict.fromkeys(("sadness", "sad"), "sadness"),
    **dict.fromkeys(("neutral", "neu"), "neutral"),
    **dict.fromkeys(("disgust", "disgusted", "dis"), "disgust"),
    **dict.fromkeys(("fear", "fearful", "fea"), "fear"),
    **dict.fromkeys(("surprise", "surprised", "sur"), "surprise"),
    **dict.fromkeys(("boredom", "bored"), "boredom"),
    "calm": "calm",
}
TINY = 1e-300  # posteriors that are 0 for all shared classes become uniform
BATCH_SIZE = 32


def read_label_map(path: str | Path | None) -> dict[str, str | None]:
    """The built-in map, updated by a YAML file of ``label: common name``; null leaves a label out."""
    if path is None:
        return dict(COMMON_LABELS)
    try:
        found = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; give a YAML file of 'label: common name'.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML ({str(error).splitlines()[0]}).") from None
    pairs = found.items() if isinstance(found, dict) else [(None, None)]
    if not all(isinstance(key, str) and (value is None or (isinstance(value, str) and value)) for key, value in pairs):
        raise ValueError(f"{path} must hold lines of 'label: common name', or 'label: null' to leave it out.")
    return {**COMMON_LABELS, **found}


@dataclass(frozen=True)
class SharedLabels:
    """The classes that a student's labels ``own`` share with another corpus, by their common names.

    ``names`` maps labels, in any case of letters, to common names, and labels that are left out to None; others are
    their own.

    Example
    -------
    >>> labels = SharedLabels.of(["ang", "bored", "hap", "exc"], ["Anger", "joy", "pride"], COMMON_LABELS)
    >>> labels.shared
    ('anger', 'happiness')
    >>> labels.posteriors(np.array([[0.3, 0.5, 0.1, 0.1]])).round(3).tolist()
    [[0.6, 0.4]]
    """

    own: tuple[str, ...]
    shared: tuple[str, ...]
    names: Mapping[str, str | None]

    @classmethod
    def of(cls, own: Sequence[str], other: Sequence[str], names: Mapping[str, str | None]) -> "SharedLabels":
        """The shared classes in the order of ``own``; ValueError if there are fewer than two."""
        labels = cls(tuple(own), (), names)
        of_other = {labels.name(label) for label in other} - {None}
        shared = [name for name in dict.fromkeys(map(labels.name, own)) if name in of_other]
        if len(shared) < 2:
            raise ValueError(
                f"[{', '.join(own)}] and [{', '.join(other)}] share {', '.join(shared) or 'no class'}; at least two "
                "are needed. Say which labels are the same by --labels MAP."
            )
        return replace(labels, shared=tuple(shared))

    def name(self, label: str) -> str | None:
        """The common name of a label; None if it is left out."""
        return self.names.get(label, self.names.get(label.lower(), label))

    def utterances(self, manifest: Manifest) -> Manifest:
        """The utterances of shared classes."""
        rows = tuple(row for row in manifest if self.name(row.emotion) in self.shared)
        return replace(manifest, utterances=rows)

    def posteriors(self, probs: np.ndarray) -> np.ndarray:
        """Posteriors over the shared classes alone, which sum to 1 again: [N, len(own)] -> [N, len(shared)].

        q[n, k] = sum_{c: name(c) = k} p[n, c] / sum_{c: name(c) shared} p[n, c]
        """
        members = np.array([[self.name(label) == name for name in self.shared] for label in self.own], dtype=float)
        sums = np.asarray(probs, dtype=float) @ members + TINY
        return sums / sums.sum(axis=1, keepdims=True)

    def scores(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Scores of the utterances whose truth is a shared class, predicted among the shared classes alone."""
        truth = scores["truth"].map(self.name)
        scores = scores.assign(truth=truth)[truth.isin(self.shared)].reset_index(drop=True)
        probs = self.posteriors(scores[[f"p_{label}" for label in self.own]].to_numpy())
        prediction = [self.shared[best] for best in probs.argmax(axis=1)]
        columns = {f"p_{name}": probs[:, index] for index, name in enumerate(self.shared)}
        return scores[["ID", "speaker", "fold", "seed", "truth"]].assign(prediction=prediction, **columns)


@dataclass(frozen=True)
class Condition:
    """How the test differs: the disturbance, and the windows in seconds (None for those of the run)."""

    name: str
    kind: str = CLEAN
    level: float | None = None
    window_s: float | None = None
    overlap_s: float | None = None

    def of_run(self, run: PlannedRun) -> "Condition":
        """The condition with the windows of a run where it leaves them open."""
        window_s = run.record.window_s if self.window_s is None else self.window_s
        overlap_s = run.record.test_overlap_s if self.overlap_s is None else self.overlap_s
        return replace(self, window_s=window_s, overlap_s=overlap_s)


@dataclass(frozen=True)
class SavedStudent:
    """One student, and the file that its scores go to; ``key`` is a hash of everything that they depend on."""

    folder: Path
    scores: Path
    key: str
    seed: int
    fold: int


@dataclass(frozen=True)
class Task:
    """One condition on one set of test utterances, for all students that are tested on it.

    With ``shared``, the test is all of a foreign corpus, as far as its classes are shared.
    """

    manifest: Path
    test_speakers: tuple[str, ...]
    train_speakers: tuple[str, ...]
    condition: Condition
    shared: SharedLabels | None
    students: list[SavedStudent]


def evaluate_saved(
    experiments: Sequence[Experiment],
    study: str,
    conditions: Sequence[Condition],
    jobs: int = 1,
    on: tuple[Path, SharedLabels] | None = None,
) -> list[dict[str, pd.DataFrame]]:
    """Score every experiment's outer students on their own test speakers under every condition, ``jobs`` at a time.

    Scores go to ``FOLDER/studies/<study>``, one file for each run and condition. ``on`` is the manifest.csv of another
    corpus, which is the test then, and the classes to score there. Returns for each experiment: name of the condition
    -> scores of all runs. Finished files stay when it is interrupted.
    """
    tasks: dict[tuple, Task] = {}
    files: list[dict[str, list[Path]]] = []
    for experiment in experiments:
        path, shared = on or (experiment.paths.manifest, None)
        tested = read_manifest(path).hash
        files.append({condition.name: [] for condition in conditions})
        for run in finished_runs(experiment):
            for condition in [condition.of_run(run) for condition in conditions]:
                student = _saved_student(experiment, study, run, condition, tested, shared)
                files[-1][condition.name].append(student.scores)
                if not is_current(student):
                    test = run.test_speakers, run.train_speakers, condition
                    key = tested, *test, run.folder if on else None  # of a foreign corpus each student is a task
                    tasks.setdefault(key, Task(path, *test, shared, [])).students.append(student)
    with tqdm(total=len(tasks), desc=f"{study} study", unit="condition", disable=not tasks) as bar:
        run_tasks(partial(evaluate_task, progress=jobs == 1), list(tasks.values()), jobs, on_done=bar.update)

    def stored(paths: list[Path]) -> pd.DataFrame:
        return pd.concat(map(read_scores, paths), ignore_index=True).drop(columns=["condition", "key"])

    return [{name: stored(paths) for name, paths in found.items()} for found in files]


def _saved_student(
    experiment: Experiment, study: str, run: PlannedRun, condition: Condition, tested: str, shared: SharedLabels | None
) -> SavedStudent:
    path = run.paths.weights
    if not path.is_file():
        raise FileNotFoundError(f"{run.folder} has no trained student: {path.name} is missing; run its recipe again.")
    labels = (*shared.shared, repr(sorted(shared.names.items()))) if shared else ()
    key = VERSION, _sha256(path, path.stat().st_mtime_ns), tested, condition, run.train_speakers, labels
    name = "-".join("".join(sign if sign.isalnum() or sign in "._" else " " for sign in condition.name).split())
    scores = of_fold(experiment.paths.study(study), run.seed, run.fold) / f"{name}.csv"  # such as white-0-dB.csv
    return SavedStudent(run.folder, scores, hashlib.sha256(repr(key).encode()).hexdigest()[:16], run.seed, run.fold)


def is_current(student: SavedStudent) -> bool:
    """Whether its file of scores was made from exactly this."""
    try:
        return pd.read_csv(student.scores, usecols=["key"], nrows=1, dtype=str)["key"].tolist() == [student.key]
    except (OSError, ValueError):
        return False


def evaluate_task(task: Task, progress: bool = False) -> None:
    """Disturb the utterances of a task once, and score them by every student."""
    manifest, condition, shared = read_manifest(task.manifest), task.condition, task.shared
    test = shared.utterances(manifest) if shared else manifest.of(task.test_speakers)
    clean, voices = waveforms_of(manifest, progress), None
    if condition.kind == BABBLE:
        train = manifest.of(task.train_speakers)
        voices = {speaker: [clean[row.id] for row in train if row.speaker == speaker] for speaker in train.speakers}
    waveforms = {name: disturb(clean[name], condition.kind, condition.level, name, voices) for name in test.ids}
    batches = list(scoring_batches(test, waveforms.__getitem__, condition.window_s, condition.overlap_s, BATCH_SIZE))
    speakers, truth, labels = [row.speaker for row in test], [row.emotion for row in test], test.label_order
    if shared:
        truth, labels = [shared.name(label) for label in truth], shared.shared
    for student in task.students:
        posteriors = predict(load_checked(student.folder, shared.own if shared else labels), batches)
        probs = np.stack([posteriors[name] for name in test.ids])
        probs = shared.posteriors(probs) if shared else probs
        scores = make_scores(test.ids, speakers, truth, probs, labels, student.fold, student.seed)
        write_scores(student.scores, scores.assign(condition=condition.name, key=student.key))


@lru_cache(maxsize=4)
def read_manifest(path: Path) -> Manifest:
    """A manifest, read once per process."""
    return Manifest.read(path)


@lru_cache(maxsize=1)
def waveforms_of(manifest: Manifest, progress: bool) -> dict[str, np.ndarray]:
    """The clean waveforms of a corpus by ID, read once per process."""
    return load_waveforms(manifest, progress)


@lru_cache(maxsize=8)
def load_checked(folder: Path, label_order: tuple[str, ...]) -> torch.nn.Module:
    """A stored student, whose label order must be that of its corpus."""
    student, about = load_student(folder)
    if tuple(about["label_order"]) != tuple(label_order):
        raise ValueError(
            f"{folder} orders classes as [{', '.join(about['label_order'])}] and its corpus as "
            f"[{', '.join(label_order)}]; run its recipe again."
        )
    return student


@lru_cache(maxsize=1024)
def _sha256(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
