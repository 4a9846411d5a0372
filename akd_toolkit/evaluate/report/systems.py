"""The systems that a report compares, with their scores, and how far these and published numbers can be compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from akd_toolkit.data.manifest import MARK
from akd_toolkit.data.verdicts import Finding
from akd_toolkit.evaluate.report.ablation_report import read_ablation
from akd_toolkit.evaluate.report.results import SYSTEMS
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.evaluate.report.tables import read_cells
from akd_toolkit.experiment.paths import ExperimentPaths, experiments_at
from akd_toolkit.experiment.stored import Experiment

MADE_UP = "Generated speech, not recordings"
COLUMNS = (
    *("corpus", "classes", "system", "parameters", "wa", "ua"),
    *("speaker_independent", "chosen_on_test", "grade", "source", "note"),
)
ANSWERS = ("yes", "no", "unknown")
GRADES = {
    "A": "speaker-independent, and nothing was chosen on the test",
    "B": "speaker-independent; how epochs and settings were chosen is not known",
    "C": "speakers on both sides, or something was chosen on the test",
    "D": "not known whether speakers are on both sides, or marked illustrative by its authors",
}
COMMITTED = Path(__file__).parent / "cited.csv"


@dataclass(frozen=True)
class System:
    """One line of the tables: a student of an experiment, or one of its teachers alone.

    ``kind`` is one of ``SYSTEMS``, ``params`` None where it is not stored, ``leaks`` what the audit found.
    """

    name: str
    kind: str
    experiment: Experiment
    scores: pd.DataFrame = field(repr=False, compare=False)
    params: int | None = None
    leaks: tuple[Finding, ...] = ()

    @property
    def teacher(self) -> bool:
        return self.kind == "teacher"

    @property
    def corpus(self) -> str:
        return self.experiment.manifest.corpus

    @property
    def marks(self) -> tuple[str, ...]:
        """Watermarks that every table and figure with this system must carry."""
        return marks_of(self.experiment)

    @cached_property
    def summary(self) -> dict:
        return summarise(self.scores, self.experiment.label_order)

    @cached_property
    def utterances(self) -> frozenset:
        """What it was scored on: two systems are compared only where these are equal."""
        return frozenset(zip(self.scores["ID"], self.scores["speaker"], self.scores["truth"]))


def marks_of(experiment: Experiment) -> tuple[str, ...]:
    """Watermarks of an experiment's numbers; none for speaker-independent ones of recorded speech."""
    marks = ((MARK, not experiment.speakers_known), (MADE_UP, experiment.manifest.generated))
    return tuple(mark for mark, holds in marks if holds)


def read_experiments(folders: Sequence[str | Path]) -> list[Experiment]:
    """Every folder as an experiment, each once; FileNotFoundError names experiments below a folder without one."""
    found = {}
    for folder in map(Path, folders):
        if not ExperimentPaths(folder).exists:
            below = ", ".join(map(str, experiments_at(folder)[:5]))
            hint = f"give one of {below}" if below else "give the output_folder of a recipe"
            raise FileNotFoundError(f"{folder} holds no experiment (settings.yaml is missing); {hint}.")
        found[folder.resolve()] = Experiment.read(folder.resolve())
    return list(found.values())


def systems_of(experiments: Sequence[Experiment], audits: Sequence[Sequence[Finding]] = ()) -> list[System]:
    """The scored systems of the experiments: student alone, plain KD, AKD, teachers; a shared teacher once."""
    systems = []
    for experiment, findings in zip_longest(experiments, audits, fillvalue=()):
        leaks = tuple(finding for finding in findings if finding.verdict == "leak")
        for title, scores in experiment.teacher_scores().items():
            name, corpus = f"teacher {title}", experiment.manifest.corpus
            if not any(_same(one.scores, scores) for one in systems if (one.name, one.corpus) == (name, corpus)):
                systems.append(System(name, "teacher", experiment, scores, None, leaks))
        done = experiment.outer_runs(done=True)
        if done:
            kind = experiment.system if experiment.system in SYSTEMS else "akd"
            scores = whole_seeds(experiment.scores(done))
            try:
                params = done[0].record.num_parameters
            except (OSError, ValueError):
                params = None
            systems.append(System(student_name(experiment), kind, experiment, scores, params, leaks))
    return sorted(_renamed(systems), key=lambda system: SYSTEMS.index(system.kind))


def whole_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """The seeds that were scored on the same utterances as the one with the most; others are unfinished.

    Example
    -------
    >>> whole_seeds(pd.DataFrame({"ID": ["a", "b", "a"], "seed": [1, 1, 2]}))["seed"].tolist()
    [1, 1]
    """
    scored = {seed: frozenset(ids) for seed, ids in scores.groupby("seed")["ID"]}
    most = max(scored.values(), key=len)  # the first of equals
    whole = [seed for seed, utterances in scored.items() if utterances == most]
    return scores[scores["seed"].isin(whole)].reset_index(drop=True)


def student_name(experiment: Experiment) -> str:
    """``akd (micro_cnn)``: recipe and student; for a row of an ablation its title."""
    ablation = ExperimentPaths(experiment.folder.parent)
    if ablation.ablation_table.is_file():
        titles = {ablation.row(title).name: title for title in read_ablation(ablation.ablation_table)["system"]}
        return titles.get(experiment.folder.name, experiment.folder.name)
    if experiment.system not in SYSTEMS:  # written by an older version
        return experiment.system
    return f"{experiment.recipe} ({(experiment.settings.get('student') or {}).get('name', 'no student')})"


def by_corpus(systems: Iterable[System]) -> dict[str, list[System]]:
    """The systems of each corpus and label order; the key is a name to show."""
    groups: dict[tuple, list[System]] = {}
    for system in systems:
        groups.setdefault((system.corpus, system.experiment.label_order), []).append(system)
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
    a, b = (scores.sort_values("ID", ignore_index=True)[columns] for scores in (a, b))
    return a.equals(b)


def _renamed(systems: list[System]) -> list[System]:
    """Systems with the same name within a corpus get their folder added, and then a number."""
    for tag in (" [{folder}]", " {number}"):
        keys = [(system.corpus, system.name) for system in systems]
        for place, (system, key) in enumerate(zip(systems, keys)):
            if keys.count(key) > 1:
                added = tag.format(folder=system.experiment.folder.name, number=keys[: place + 1].count(key))
                systems[place] = replace(system, name=system.name + added)
    return systems


def grade(speaker_independent: str, chosen_on_test: str) -> str:
    """The grade of a number by the rule of ``GRADES``.

    The two answers are ``yes``, ``no`` or ``unknown``: whether no test speaker was in the training data, and whether an
    epoch, a setting or a model was chosen by its test score.

    Example
    -------
    >>> grade("yes", "no"), grade("yes", "unknown"), grade("unknown", "yes"), grade("unknown", "no")
    ('A', 'B', 'C', 'D')
    """
    for name, answer in (("speaker_independent", speaker_independent), ("chosen_on_test", chosen_on_test)):
        if answer not in ANSWERS:
            raise ValueError(f"{name} must be one of {', '.join(ANSWERS)}, got '{answer}'.")
    if speaker_independent == "no" or chosen_on_test == "yes":
        return "C"
    if speaker_independent == "unknown":
        return "D"
    return "A" if chosen_on_test == "no" else "B"


def read_cited(path: str | Path = COMMITTED) -> pd.DataFrame:
    """The published numbers as text: percent, empty where there is none.

    Refused: a row without source or score, and a grade better than its answers. A worse one needs a note.
    """
    rows = read_cells(path, COLUMNS, "table of published numbers", "give another one")
    for line, row in enumerate(rows.to_dict("records"), start=2):
        try:
            _check(row)
        except ValueError as error:
            raise ValueError(f"{path}, line {line} ({row['corpus']}, {row['system']}): {error}") from None
    return rows


def own_answers(system) -> tuple[str, str, str]:
    """The two answers that a grade is made of, for a ``System`` of ours, and a note; from what its folder proves."""
    experiment = system.experiment
    if MARK in system.marks:
        return "no", "unknown", "the corpus does not say who speaks, so speakers may be on both sides"
    if system.leaks:
        first = system.leaks[0]
        note = f"the audit found {len(system.leaks)}, first ({first.check}): {first.sentence.rstrip('.')}"
        on_test = any(leak.check in ("choice", "epochs") for leak in system.leaks)
        return "unknown", "yes" if on_test else "unknown", note
    if system.teacher or len(experiment.candidates) < 2:
        return "yes", "unknown", "one setting, fixed before the run; how it was found is not stored"
    if not all(experiment.choice(run.seed, run.fold) for run in experiment.outer_runs(done=True)):
        return "yes", "unknown", "a choice.json is missing, so it is not known how candidates were chosen"
    return "yes", "no", f"best of {len(experiment.candidates)} candidates on inner folds, then scored once"


def _check(row: dict[str, str]) -> None:
    if not row["source"].strip():
        raise ValueError("it has no source; name the paper, its DOI or its address.")
    scores = [row[name] for name in ("wa", "ua") if row[name]]
    if not scores:
        raise ValueError("it has neither WA nor UA; leave the row out.")
    for score in scores:
        if not score.replace(".", "", 1).isdigit() or float(score) > 100:
            raise ValueError(f"'{score}' is not a percentage; give a number from 0 to 100.")
    earned = grade(row["speaker_independent"], row["chosen_on_test"])
    if row["grade"] not in (earned, "D") or (row["grade"] != earned and not row["note"].strip()):
        raise ValueError(f"its grade is '{row['grade']}' but its answers give {earned}; correct one of them.")
