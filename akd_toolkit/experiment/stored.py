"""An experiment as read from its folder, without its recipe."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from akd_toolkit.data.folds import OuterFold, outer_folds
from akd_toolkit.data.manifest import Manifest, marked
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths
from akd_toolkit.experiment.plan import PlannedRun, candidates_of, planned_runs, speakers_known
from akd_toolkit.experiment.record import RunRecord, read_json, read_with
from akd_toolkit.experiment.scores_file import parse_scores


@dataclass(frozen=True)
class Experiment:
    """An experiment, finished or not."""

    folder: Path  # its ``output_folder``
    settings: dict  # settings.yaml: what defines the result
    environment: dict  # environment.json: versions and commit
    plan: dict  # plan.json: recipe, system, seeds and folds of the last start; {} in folders of version 0.0
    manifest: Manifest

    @classmethod
    def read(cls, folder) -> "Experiment":
        """Read an experiment; FileNotFoundError if there is none, ValueError for damaged files or another corpus."""
        paths = ExperimentPaths(folder)
        settings, manifest = read_settings(paths), Manifest.read(paths.manifest)
        if settings.get("manifest_hash") not in (None, manifest.hash):
            raise ValueError(
                f"{folder} was run on another preparation of {manifest.corpus} (manifest {settings['manifest_hash']}) "
                f"than {paths.manifest} ({manifest.hash}); give each its own output_folder."
            )
        environment, plan = (read_json(path) if path.is_file() else {} for path in (paths.environment, paths.plan))
        for key in ("seeds", "folds"):
            numbers = plan.get(key, [])
            if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
                raise ValueError(f"{paths.plan} is damaged ({key}: not integers); delete it and run the recipe again.")
        return cls(paths.folder, settings, environment, plan, manifest)

    def pretraining_of(self, student: dict | None) -> tuple[list[str], set[str]] | None:
        """As ``pretrained_cnn.pretraining_of``; a relative source is looked up from the folder upwards."""
        from akd_toolkit.models.pretrained_cnn import pretraining_of  # here, because PyTorch is slow to import
        from akd_toolkit.teachers.provenance import local_folder

        student = student or {}
        folder = local_folder(str(student.get("source") or ""), self.folder.resolve())
        try:
            return pretraining_of(student if folder is None else {**student, "source": str(folder)})
        except FileNotFoundError:  # a name that the hub cannot give
            return [], set()

    @classmethod
    def of_run(cls, folder) -> tuple["Experiment", PlannedRun]:
        """The experiment and the run of a finished outer run's folder, such as ``results/akd/seed17/fold1/outer``.

        For a compressed student of such a run (``results/akd/compressed/seed17/fold1/1-prune``) the run's ``folder`` is
        the given one. FileNotFoundError if the folder is neither.
        """
        place = RunPaths(Path(folder).resolve())
        home = next((parent for parent in place.folder.parents if ExperimentPaths(parent).exists), None)
        if home is None or not place.student.is_file() or not place.done:
            raise FileNotFoundError(
                f"{folder} is not a finished run ({place.student.name}, {place.scores.name} or the experiment's "
                "settings.yaml is missing); give a folder such as results/akd/seed17/fold1/outer."
            )
        experiment = cls.read(home)
        parts = place.folder.relative_to(home).parts
        for run in experiment.outer_runs():
            if run.name == "/".join(parts):
                return experiment, run
            if set(_seed_and_fold(run)) <= set(parts) and RunRecord.read(place).compressed_by:
                return experiment, replace(run, folder=place.folder)
        raise FileNotFoundError(f"{folder} is not an outer run of {experiment.folder}; give one that ends in outer.")

    def like(self, run: PlannedRun) -> list[PlannedRun]:
        """Every outer run; for a compressed student, the students of all runs compressed in the same way."""
        if run.folder.resolve() == (self.folder / run.name).resolve():
            return self.outer_runs()
        parts, found = run.folder.resolve().relative_to(self.folder.resolve()).parts, []
        for other in self.outer_runs():
            own = dict(zip(_seed_and_fold(run), _seed_and_fold(other)))
            found.append(replace(other, folder=self.folder.joinpath(*(own.get(part, part) for part in parts))))
        return found

    @property
    def paths(self) -> ExperimentPaths:
        return ExperimentPaths(self.folder)

    @property
    def label_order(self) -> tuple[str, ...]:
        """Emotions in the order of the logits."""
        return self.manifest.label_order

    @property
    def recipe(self) -> str:
        """Name of the YAML, with ``+`` and the source of unlabelled speech; the folder's name if not recorded."""
        return self.plan.get("recipe", self.folder.name)

    @property
    def system(self) -> str:
        """``akd``, ``kd``, ``student`` or ``teacher``; the title of a row of an ablation."""
        return self.plan.get("system", self.folder.name)

    @property
    def title(self) -> str:
        return f"{self.corpus}: {self.recipe}"

    @property
    def speakers_known(self) -> bool:
        return speakers_known(self.settings, self.manifest)

    @property
    def corpus(self) -> str:
        """Name of the corpus for tables, marked if its scores are not speaker-independent."""
        return marked(self.manifest.corpus, self.speakers_known)

    @property
    def candidates(self) -> list[dict]:
        return candidates_of(self.settings)

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds of the plan and of existing runs."""
        return sorted({*self.plan.get("seeds", []), *(seed for seed, _ in self.paths.begun())})

    @cached_property
    def folds(self) -> list[OuterFold]:
        """Outer folds of the plan and of existing runs; ``index`` counts from 0."""
        folds = outer_folds(self.manifest, self.settings["outer_folds"])
        wanted = {*(self.plan.get("folds") or range(1, len(folds) + 1)), *(fold for _, fold in self.paths.begun())}
        return [fold for fold in folds if fold.index + 1 in wanted]

    def runs(self, inner: bool = True) -> list[PlannedRun]:
        """Every run of the plan (or the outer ones) by seed and fold, inner runs before the outer run."""
        return planned_runs(self.paths, self.settings, self.label_order, self.seeds, self.folds, inner)

    def outer_runs(self, done: bool = False) -> list[PlannedRun]:
        """The outer runs, one for each seed and fold, or those that are done."""
        return [run for run in self.runs(inner=False) if run.done or not done]

    def inner_runs(self, of: PlannedRun | None = None) -> list[PlannedRun]:
        """The runs that compare candidates, of all outer runs or of one."""
        runs = [run for run in self.runs() if run.kind == "inner"]
        return [run for run in runs if of is None or (run.seed, run.fold) == (of.seed, of.fold)]

    def choice(self, seed: int, fold: int) -> dict | None:
        """Candidate chosen for an outer fold (from 1): ``inner_ua``, ``chosen``, ``candidate``."""
        path = self.paths.choice(seed, fold)
        return read_json(path) if path.is_file() else None

    def finished_runs(self) -> list[PlannedRun]:
        """The outer runs that are done; ValueError if none is."""
        if runs := self.outer_runs(done=True):
            return runs
        raise ValueError(f"no outer run of {self.folder} is done yet; finish its recipe first.")

    def scores(self, runs: list[PlannedRun] | None = None) -> pd.DataFrame:
        """Per-utterance scores of these runs, by default of every finished outer run; ValueError if damaged."""
        runs = self.finished_runs() if runs is None else runs
        return pd.concat([run.scores(self.manifest) for run in runs], ignore_index=True)

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol."""
        files = {title: self.paths.teacher_scores(title) for title in self.settings.get("teachers") or {}}
        parsed = partial(parse_scores, label_order=self.label_order)
        return {title: read_with(parsed, path) for title, path in files.items() if path.is_file()}


def read_settings(paths: ExperimentPaths) -> dict:
    """settings.yaml of an experiment; FileNotFoundError if missing, ValueError if damaged."""
    if not paths.exists:
        raise FileNotFoundError(
            f"{paths.folder} holds no experiment ({paths.settings.name} is missing); give a recipe's output_folder."
        )
    try:
        settings = YAML(typ="safe").load(paths.settings.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{paths.settings} cannot be read ({reason}); restore it or start over.") from None
    missing = [key for key in ("corpus", "outer_folds", "label_order") if key not in (settings or {})]
    if missing:
        raise ValueError(f"{paths.settings} lacks {', '.join(missing)}; restore it, or start over in another folder.")
    return settings


def _seed_and_fold(run: PlannedRun) -> tuple[str, ...]:
    return Path(run.name).parts[:2]
