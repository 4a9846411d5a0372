"""A finished or begun experiment, read from its folder without the recipe."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from akd_toolkit.data.folds import OuterFold, outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.watermark import marked
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths, experiment_above
from akd_toolkit.experiment.plan import PlannedRun, candidates_of, planned_runs, speakers_known
from akd_toolkit.experiment.record import RunRecord, read_json, read_with
from akd_toolkit.experiment.scores_file import parse_scores


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
        paths = ExperimentPaths(folder)
        settings, manifest = read_settings(paths), Manifest.read(paths.manifest)
        if settings.get("manifest_hash") not in (None, manifest.hash):
            raise ValueError(
                f"{folder} was run on another preparation of {manifest.corpus} (manifest {settings['manifest_hash']}) "
                f"than {paths.manifest} ({manifest.hash}); give each its own output_folder."
            )
        environment, plan = (read_json(path) if path.is_file() else {} for path in (paths.environment, paths.plan))
        return cls(paths.folder, settings, environment, plan, manifest)

    @classmethod
    def of_run(cls, folder) -> tuple["Experiment", PlannedRun]:
        """The experiment that a finished outer run belongs to, and the run: ``results/akd/seed17/fold1/outer``.

        Or a compressed student of such a run, ``results/akd/compressed/seed17/fold1/1-prune``: then the run's
        ``folder`` is that one.

        Raises
        ------
        FileNotFoundError
            If the folder is neither.
        """
        place = RunPaths(Path(folder).resolve())
        home = experiment_above(place.folder)
        if home is None or not place.student.is_file() or not place.done:
            raise FileNotFoundError(
                f"{folder} is not a finished run ({place.student.name}, {place.scores.name} or the experiment's "
                "settings.yaml is missing); give a folder such as results/akd/seed17/fold1/outer."
            )
        experiment = cls.read(home.folder)
        parts = place.folder.relative_to(home.folder).parts
        for run in experiment.outer_runs():
            if run.name == "/".join(parts):
                return experiment, run
            if set(_seed_and_fold(run)) <= set(parts) and RunRecord.read(place).compressed_by:
                return experiment, replace(run, folder=place.folder)
        raise FileNotFoundError(f"{folder} is not an outer run of {experiment.folder}; give one that ends in outer.")

    def like(self, run: PlannedRun) -> list[PlannedRun]:
        """Every outer run, or, of a compressed student, the students of all runs that were compressed as it was."""
        if run.folder.resolve() == (self.folder / run.name).resolve():
            return self.outer_runs()
        parts = run.folder.resolve().relative_to(self.folder.resolve()).parts

        def of(other: PlannedRun) -> Path:
            own = dict(zip(_seed_and_fold(run), _seed_and_fold(other)))
            return self.folder.joinpath(*(own.get(part, part) for part in parts))

        return [replace(other, folder=of(other)) for other in self.outer_runs()]

    @property
    def paths(self) -> ExperimentPaths:
        return ExperimentPaths(self.folder)

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
        return f"{self.corpus}: {self.recipe}"

    @property
    def speakers_known(self) -> bool:
        """Whether the corpus says who speaks, without which no score of it is speaker-independent."""
        return speakers_known(self.settings, self.manifest)

    @property
    def corpus(self) -> str:
        """The corpus as tables name it: with the mark where its scores are not speaker-independent."""
        return marked(self.manifest.corpus, self.speakers_known)

    @property
    def candidates(self) -> list[dict]:
        """Overrides among which the inner folds choose; one means that there is nothing to choose."""
        return candidates_of(self.settings)

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds that were asked for, or that there are runs of."""
        return sorted({*self.plan.get("seeds", []), *(seed for seed, _ in self.paths.begun())})

    @cached_property
    def folds(self) -> list[OuterFold]:
        """The outer folds that were asked for, or that there are runs of; ``index`` counts from 0."""
        folds = outer_folds(self.manifest, self.settings["outer_folds"])
        wanted = self.plan.get("folds") or [fold.index + 1 for fold in folds]
        begun = [fold for _, fold in self.paths.begun()]
        return [fold for fold in folds if fold.index + 1 in {*wanted, *begun}]

    def runs(self, inner: bool = True) -> list[PlannedRun]:
        """Every training of the plan, or the refits alone: by seed and fold, inner ones before the refit."""
        return planned_runs(self.paths, self.settings, self.label_order, self.seeds, self.folds, inner)

    def outer_runs(self, done: bool = False) -> list[PlannedRun]:
        """The refits, one for each seed and fold, or those that are done; none where only teachers are scored."""
        return [run for run in self.runs(inner=False) if run.done or not done]

    def inner_runs(self, of: PlannedRun | None = None) -> list[PlannedRun]:
        """The trainings that choosing needs, of all refits or of one; none where there is one candidate."""
        runs = [run for run in self.runs() if run.kind == "inner"]
        return [run for run in runs if of is None or (run.seed, run.fold) == (of.seed, of.fold)]

    def choice(self, seed: int, fold: int) -> dict | None:
        """What the inner folds of an outer fold (from 1) chose: ``inner_ua``, ``chosen``, ``candidate``."""
        path = self.paths.choice(seed, fold)
        return read_json(path) if path.is_file() else None

    def finished_runs(self) -> list[PlannedRun]:
        """The refits that are done.

        Raises
        ------
        ValueError
            If none is done.
        """
        runs = self.outer_runs(done=True)
        if not runs:
            raise ValueError(f"no outer run of {self.folder} is done yet; finish its recipe first.")
        return runs

    def scores(self, runs: list[PlannedRun] | None = None) -> pd.DataFrame:
        """Per-utterance scores of these runs, by default of every outer run that is done.

        Raises
        ------
        ValueError
            If none is done, or the scores of one are damaged or lack a test utterance.
        """
        runs = self.finished_runs() if runs is None else runs
        return pd.concat([run.scores(self.manifest) for run in runs], ignore_index=True)

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol; none for a student that had no teacher."""
        files = {title: self.paths.teacher_scores(title) for title in self.settings.get("teachers") or {}}
        parsed = partial(parse_scores, label_order=self.label_order)
        return {title: read_with(parsed, path) for title, path in files.items() if path.is_file()}


def read_settings(paths: ExperimentPaths) -> dict:
    """What defines the result of an experiment; ValueError where the file is damaged."""
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
    """The parts of a path that stand for them."""
    return Path(run.name).parts[:2]
