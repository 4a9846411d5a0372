"""A finished or begun experiment as its folder tells it: every planned run, what became of it, and what it scored.

Reads only what ``protocol.py`` wrote and needs no recipe: reports, audits and studies are made of this.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from akd_toolkit.data.folds import OuterFold, inner_folds, outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.locks import is_running
from akd_toolkit.experiment.scores_file import read_scores

PLAN = "plan.json"  # what the last start was asked for


@dataclass(frozen=True)
class StoredRun:
    """One training of the plan.

    Arguments
    ---------
    kind
        ``outer`` (the refit that is scored on the fold's test speakers) or ``inner`` (one that helps to choose).
    fold, split, candidate
        Counted from 1; split and candidate are None for an outer run.
    """

    folder: Path
    name: str
    kind: str
    seed: int
    fold: int
    train_speakers: tuple[str, ...]
    test_speakers: tuple[str, ...]
    label_order: tuple[str, ...]
    split: int | None = None
    candidate: int | None = None

    @property
    def state(self) -> str:
        """``done``, ``running``, ``stopped`` (begun, and nobody is at it) or ``planned``."""
        if (self.folder / "scores.csv").is_file():
            return "done"
        if is_running(self.folder):
            return "running"
        return "stopped" if self.folder.is_dir() and any(self.folder.iterdir()) else "planned"

    def scores(self) -> pd.DataFrame:
        """Per-utterance scores of the run's test speakers."""
        return read_scores(self.folder / "scores.csv", self.label_order)

    def about(self) -> dict:
        """What was kept of the student: its settings, speakers, seconds of training."""
        return _json(self.folder / "student.json")

    def audit(self) -> dict:
        """What the run proved of its own split, and what it could not."""
        return _json(self.folder / "audit.json")

    def history(self) -> pd.DataFrame:
        """One row an epoch: the mean of every part of the objective."""
        path = self.folder / "metrics.csv"
        try:
            return pd.read_csv(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing; {_cure(path)}.") from None
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}); {_cure(path)}.") from None


@dataclass(frozen=True)
class Experiment:
    """Everything that one run of a recipe leaves.

    Arguments
    ---------
    folder
        Its ``output_folder``.
    settings
        What defines its result, from settings.yaml.
    environment
        Versions and commit, from environment.json.
    plan
        Recipe, system, and the seeds and folds last asked for, from plan.json; {} where an older toolkit wrote none.
    manifest
        The corpus.
    """

    folder: Path
    settings: dict
    environment: dict
    plan: dict
    manifest: Manifest

    @classmethod
    def read(cls, folder) -> "Experiment":
        """Read the folder of an experiment; a row of an ablation finds the corpus in the folder above it.

        Raises
        ------
        FileNotFoundError
            If the folder holds no experiment.
        ValueError
            If what it holds cannot be read, or the corpus has changed since.
        """
        folder = Path(folder)
        path = folder / "settings.yaml"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} holds no experiment (settings.yaml is missing); give the output_folder of a recipe."
            )
        try:
            settings = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        except (YAMLError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path} cannot be read ({str(error).splitlines()[0]}); restore it or begin anew."
            ) from None
        missing = [key for key in ("corpus", "outer_folds", "label_order") if key not in (settings or {})]
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}; restore it, or begin anew in another folder.")
        at = next((place for place in (folder, folder.parent) if (place / "manifest.csv").is_file()), folder)
        manifest = Manifest.read(at / "manifest.csv")
        if settings.get("manifest_hash") not in (None, manifest.hash):
            raise ValueError(
                f"{folder} was run on another preparation of {manifest.corpus} (manifest {settings['manifest_hash']}) "
                f"than lies in {at} ({manifest.hash}); give each its own output_folder."
            )
        environment, plan = (
            _json(folder / name) if (folder / name).is_file() else {} for name in ("environment.json", PLAN)
        )
        return cls(folder, settings, environment, plan, manifest)

    @classmethod
    def of_run(cls, folder) -> tuple["Experiment", StoredRun]:
        """The experiment that a finished outer run belongs to, and the run: ``results/akd/seed17/fold1/outer``.

        Or a compressed student of such a run, ``results/akd/compressed/seed17/fold1/1-prune``: then the run's
        ``folder`` is that one.

        Raises
        ------
        FileNotFoundError
            If the folder is neither.
        """
        place = Path(folder).resolve()
        home = next((above for above in place.parents if (above / "settings.yaml").is_file()), None)
        if home is None or not (place / "student.json").is_file() or not (place / "scores.csv").is_file():
            raise FileNotFoundError(
                f"{folder} is not a finished run (student.json, scores.csv or the experiment's settings.yaml is "
                "missing); give a folder such as results/akd/seed17/fold1/outer."
            )
        experiment = cls.read(home)
        parts = place.relative_to(home.resolve()).parts
        for run in experiment.outer_runs():
            if run.name == "/".join(parts):
                return experiment, run
            if {f"seed{run.seed}", f"fold{run.fold}"} <= set(parts) and "compressed_by" in _json(
                place / "student.json"
            ):
                return experiment, replace(run, folder=place)
        raise FileNotFoundError(f"{folder} is no outer run of {experiment.folder}; give one that ends in outer.")

    def like(self, run: StoredRun) -> list[StoredRun]:
        """Every outer run, or, of a compressed student, the students of all runs that were compressed as it was."""
        if run.folder.resolve() == (self.folder / run.name).resolve():
            return self.outer_runs()
        parts = run.folder.resolve().relative_to(self.folder.resolve()).parts

        def of(other: StoredRun) -> Path:
            own = {f"seed{run.seed}": f"seed{other.seed}", f"fold{run.fold}": f"fold{other.fold}"}
            return self.folder.joinpath(*(own.get(part, part) for part in parts))

        return [replace(other, folder=of(other)) for other in self.outer_runs()]

    @property
    def label_order(self) -> tuple[str, ...]:
        """Emotions in the order of the logits."""
        return self.manifest.label_order

    @property
    def recipe(self) -> str:
        """Name of the YAML, and after a plus where unlabelled speech came from; the folder's name if not recorded."""
        return self.plan.get("recipe", self.folder.name)

    @property
    def system(self) -> str:
        """``akd``, ``kd``, ``student`` or ``teacher``; for a row of an ablation its title."""
        return self.plan.get("system", self.folder.name)

    @property
    def title(self) -> str:
        """Corpus and recipe, as in the heading of its report."""
        return f"{self.manifest.corpus}: {self.recipe}"

    @property
    def candidates(self) -> list[dict]:
        """Overrides among which the inner folds choose; one means that there is nothing to choose."""
        return self.settings.get("candidates") or [{}]

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds that were asked for, or that there are runs of."""
        begun = {int(path.name[4:]) for path in self.folder.glob("seed*") if path.name[4:].isdigit()}
        return sorted({*self.plan.get("seeds", []), *begun})

    @cached_property
    def folds(self) -> list[OuterFold]:
        """The outer folds that were asked for, or that there are runs of; ``index`` counts from 0."""
        folds = outer_folds(self.manifest, self.settings["outer_folds"])
        wanted = self.plan.get("folds") or [fold.index + 1 for fold in folds]
        return [f for f in folds if f.index + 1 in wanted or any(self.folder.glob(f"seed*/fold{f.index + 1}"))]

    def runs(self) -> list[StoredRun]:
        """Every training of the plan: by seed and fold, inner ones before the refit."""
        if self.settings.get("student") is None:
            return []
        outer = {(run.seed, run.fold): run for run in self.outer_runs()}
        inner = self.inner_runs()
        return [run for key, last in outer.items() for run in [*_of(inner, key), last]]

    def outer_runs(self) -> list[StoredRun]:
        """The refits, one for each seed and fold; none where only teachers are scored."""
        if self.settings.get("student") is None:
            return []
        return [
            self._run(
                f"seed{seed}/fold{fold.index + 1}/outer", "outer", seed, fold, fold.train_speakers, fold.test_speakers
            )
            for seed in self.seeds
            for fold in self.folds
        ]

    def inner_runs(self) -> list[StoredRun]:
        """The trainings that choosing needs; none where there is one candidate."""
        found = []
        if len(self.candidates) < 2 or self.settings.get("student") is None:
            return found
        for seed in self.seeds:
            for fold in self.folds:
                splits = inner_folds(fold.train_speakers, self.settings["outer_folds"])
                for candidate in range(1, len(self.candidates) + 1):
                    for split, (train, valid) in enumerate(splits, start=1):
                        name = f"seed{seed}/fold{fold.index + 1}/inner{split}-candidate{candidate}"
                        found.append(self._run(name, "inner", seed, fold, train, valid, split, candidate))
        return found

    @property
    def complete(self) -> bool:
        """Whether every planned training is done."""
        return all(run.state == "done" for run in self.outer_runs())

    def choice(self, seed: int, fold: int) -> dict | None:
        """What the inner folds of an outer fold (from 1) chose: ``inner_ua``, ``chosen``, ``candidate``."""
        path = self.folder / f"seed{seed}/fold{fold}/choice.json"
        return _json(path) if path.is_file() else None

    def scores(self, runs: list[StoredRun] | None = None) -> pd.DataFrame:
        """Per-utterance scores of these runs, by default of every outer run that is done.

        Raises
        ------
        ValueError
            If none is done.
        """
        chosen = [run for run in self.outer_runs() if run.state == "done"] if runs is None else runs
        if not chosen:
            raise ValueError(f"no outer run of {self.folder} is done yet; finish its recipe first.")
        return pd.concat([run.scores() for run in chosen], ignore_index=True)

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol; none for a student that had no teacher."""
        found = {}
        for title in self.settings.get("teachers") or {}:
            places = [self.folder / "teachers" / title / "scores.csv", self.folder / title / "scores.csv"]
            path = next((place for place in places if place.is_file()), None)
            if path is not None:
                found[title] = read_scores(path, self.label_order)
        return found

    def _run(self, name, kind, seed, fold, train_speakers, test_speakers, split=None, candidate=None) -> StoredRun:
        speakers = tuple(train_speakers), tuple(test_speakers)
        place = self.folder / name
        return StoredRun(place, name, kind, seed, fold.index + 1, *speakers, self.label_order, split, candidate)


def _of(inner: list[StoredRun], key: tuple[int, int]) -> list[StoredRun]:
    return [run for run in inner if (run.seed, run.fold) == key]


def _json(path: Path) -> dict:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError(f"a {type(told).__name__} instead of names and values")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; {_cure(path)}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); {_cure(path)}.") from None
    return told


def _cure(path: Path) -> str:
    """What brings a lost file back: a training that has its scores counts as done and is not run again."""
    done = (path.parent / "scores.csv").is_file() and not (path.parent / "settings.yaml").is_file()
    return f"delete {path.parent if done else 'it, if it is there,'} and run the recipe again"
