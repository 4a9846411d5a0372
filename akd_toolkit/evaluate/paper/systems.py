"""The systems that a report compares, each with its per-utterance scores and what there is to say of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from akd_toolkit.data.verdicts import Finding
from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.report.ablation import read_ablation
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at
from akd_toolkit.experiment.stored import Experiment

KINDS = ("akd", "kd", "student", "teacher")  # what plan.json calls a system
MADE_UP = "Generated speech, not recordings"


@dataclass(frozen=True)
class System:
    """One line of the tables: a student of an experiment, or one of its teachers alone.

    Arguments
    ---------
    name
        What the tables call it; no two have the same.
    experiment
        Where its scores come from.
    teacher
        Whether it is a teacher.
    scores
        One row for each utterance and seed, as ``report/scores_file.py`` says.
    params
        Number of parameters, or None where it is not stored.
    leaks
        What the audit of its experiment refused.
    """

    name: str
    experiment: Experiment
    teacher: bool
    scores: pd.DataFrame = field(repr=False, compare=False)
    params: int | None = None
    leaks: tuple[Finding, ...] = ()

    @property
    def corpus(self) -> str:
        return self.experiment.manifest.corpus

    @property
    def label_order(self) -> list[str]:
        return list(self.experiment.label_order)

    @property
    def marks(self) -> tuple[str, ...]:
        """What every table and figure must say of it."""
        return marks_of(self.experiment)

    @cached_property
    def summary(self) -> dict:
        """Every score, as ``summarise`` finds it."""
        return summarise(self.scores, self.label_order)

    @cached_property
    def utterances(self) -> frozenset:
        """What it was scored on: two systems are compared only where these are equal."""
        return frozenset(zip(self.scores["ID"], self.scores["speaker"], self.scores["truth"]))


def marks_of(experiment: Experiment) -> tuple[str, ...]:
    """Watermarks of an experiment's numbers; none for speaker-independent ones of recorded speech."""
    marks = ((MARK, not experiment.speakers_known), (MADE_UP, experiment.manifest.generated))
    return tuple(mark for mark, holds in marks if holds)


def marking(marks: Iterable[str]) -> str:
    """Watermarks as the beginning of a caption.

    Example
    -------
    >>> marking(["Not so"]) + "Figure 1.", marking([])
    ('**Not so.** Figure 1.', '')
    """
    return "".join(f"**{mark}.** " for mark in marks)


def read_experiments(folders: Sequence[str | Path]) -> list[Experiment]:
    """Every folder as an experiment, each once.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is none; the sentence names experiments below it, if there are any.
    """
    found = {}
    for folder in map(Path, folders):
        if not ExperimentPaths(folder).exists:
            below = [str(path) for path in experiments_at(folder)]
            hint = f"give one of {', '.join(below[:5])}" if below else "give the output_folder of a recipe"
            raise FileNotFoundError(f"{folder} holds no experiment (settings.yaml is missing); {hint}.")
        found[folder.resolve()] = Experiment.read(folder.resolve())
    return list(found.values())


def systems_of(experiments: Sequence[Experiment], audits: Sequence[Sequence[Finding]] = ()) -> list[System]:
    """Teachers and students of the experiments that have been scored, students last; no name twice.

    A teacher that several experiments share is listed once, where its scores are the same.

    Arguments
    ---------
    audits
        Findings of each experiment; where there are none, no system has leaks.
    """
    students, teachers = [], []
    for experiment, findings in zip_longest(experiments, audits, fillvalue=()):
        leaks = tuple(finding for finding in findings if finding.verdict == "leak")
        for title, scores in experiment.teacher_scores().items():
            twin = [
                one for one in teachers if one.name == f"teacher {title}" and one.corpus == experiment.manifest.corpus
            ]
            if not any(_same(one.scores, scores) for one in twin):
                teachers.append(System(f"teacher {title}", experiment, True, scores, None, leaks))
        done = experiment.outer_runs(done=True)
        if done:
            scores = whole_seeds(experiment.scores(done))
            students.append(System(student_name(experiment), experiment, False, scores, _params(done), leaks))
    return _renamed([*teachers, *students])


def whole_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """The seeds that were scored on the same utterances as the one with the most; others are unfinished.

    Example
    -------
    >>> whole_seeds(pd.DataFrame({"ID": ["a", "b", "a"], "seed": [1, 1, 2]}))["seed"].tolist()
    [1, 1]
    """
    scored = {seed: frozenset(of_seed) for seed, of_seed in scores.groupby("seed")["ID"]}
    most = max(scored.values(), key=len)  # the first of equals
    whole = [seed for seed, utterances in scored.items() if utterances == most]
    return scores[scores["seed"].isin(whole)].reset_index(drop=True)


def left_out_seeds(experiment: Experiment, scores: pd.DataFrame) -> list[int]:
    """Seeds of which only some folds are done, so that they are in no table."""
    begun = {run.seed for run in experiment.outer_runs(done=True)}
    return sorted(begun - set(scores["seed"]))


def student_name(experiment: Experiment) -> str:
    """``akd (micro_cnn)``: recipe and student; of a row of an ablation its title."""
    ablation = ExperimentPaths(experiment.folder.parent)
    if ablation.ablation_table.is_file():
        titles = {ablation.row(title).name: title for title in read_ablation(ablation.ablation_table)["system"]}
        return titles.get(experiment.folder.name, experiment.folder.name)
    if experiment.system not in KINDS:  # written by an older toolkit
        return experiment.system
    return f"{experiment.recipe} ({(experiment.settings.get('student') or {}).get('name', 'no student')})"


def by_corpus(systems: Iterable[System]) -> dict[str, list[System]]:
    """The systems of each corpus and label order, in the order given; the key is a name to show."""
    groups: dict[tuple, list[System]] = {}
    for system in systems:
        groups.setdefault((system.corpus, tuple(system.label_order)), []).append(system)
    names = [corpus for corpus, _ in groups]
    return {
        corpus if names.count(corpus) == 1 else f"{corpus}, {len(labels)} classes [{', '.join(labels)}]": members
        for (corpus, labels), members in groups.items()
    }


def comparable(systems: Sequence[System]) -> list[list[System]]:
    """The systems in groups that were scored on the same utterances."""
    groups: dict[frozenset, list[System]] = {}
    for system in systems:
        groups.setdefault(system.utterances, []).append(system)
    return list(groups.values())


def _same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    columns = ["ID", "fold", "truth", "prediction"]
    kept = [one.sort_values("ID", ignore_index=True)[columns] for one in (a, b)]
    return kept[0].equals(kept[1])


def _params(runs) -> int | None:
    try:
        return runs[0].record.num_parameters
    except (OSError, ValueError):
        return None


def _renamed(systems: list[System]) -> list[System]:
    """Where two would be called the same within a corpus, the folder tells them apart."""
    keys = [(system.corpus, system.name) for system in systems]
    renamed = [
        replace(system, name=f"{system.name} [{system.experiment.folder.name}]") if keys.count(key) > 1 else system
        for system, key in zip(systems, keys)
    ]
    seen: dict[tuple, int] = {}
    for place, system in enumerate(renamed):
        key = (system.corpus, system.name)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > 1:
            renamed[place] = replace(system, name=f"{system.name} {seen[key]}")
    return renamed
