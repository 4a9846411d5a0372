"""Speaker-independent nested cross-validation: plan the trainings, have them run, choose, refit, score once.

For every seed and outer fold: where the YAML lists several candidates, each is trained on every inner split of the
outer training speakers and the best inner UA wins; the student is then trained on all outer training speakers and
scored once on the outer test speakers. Runs are independent, so that they spread over cores.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML
from tqdm import tqdm

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.folds import OuterFold, outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.mixtures import prepare_mixtures
from akd_toolkit.data.unlabelled import prepare_unlabelled
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.parts import build_student, fold_teachers, teacher_bank
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun, planned_runs
from akd_toolkit.experiment.record import environment, read_json
from akd_toolkit.experiment.run import Run, attributes_of, label_posteriors
from akd_toolkit.experiment.runner import run_all
from akd_toolkit.experiment.settings import defines_result, with_defaults
from akd_toolkit.experiment.stored import Experiment, read_settings
from akd_toolkit.metrics.scores import ua
from akd_toolkit.outputs import Posteriors
from akd_toolkit.registry import TEACHERS


class NestedCrossValidation:
    """The protocol of one experiment over one corpus.

    Arguments
    ---------
    config
        The checked recipe.
    manifest
        The prepared corpus.

    Raises
    ------
    ValueError
        If the output folder holds an experiment with other settings (the difference is shown), or the folds are not
        a partition of the speakers.
    """

    def __init__(self, config: Config, manifest: Manifest):
        self.config = config
        self.manifest = manifest
        attributes_of(config, manifest)  # refused before teachers are run
        find_teachers(config)
        self.folder = Path(config["output_folder"])
        self.unlabelled = self._prepare_unlabelled()
        folds = outer_folds(manifest, config["outer_folds"])
        self.folds = folds[: config["folds"] or len(folds)]
        self._claim_folder(paths := ExperimentPaths(self.folder))
        plan = self._write_plan(paths)
        self.experiment = Experiment(self.folder, config.settings, read_json(paths.environment), plan, manifest)

    def run(self, train: Callable[[Run], None]) -> pd.DataFrame:
        """Run what is not done yet and return the outer scores of every seed and fold.

        ``train`` is given one ``Run`` and must end with ``run.keep(...)``.
        """
        refit = self._planned(inner=False)[0]
        for overrides in self.experiment.candidates:  # a wrong option is found before teachers run for hours
            build_student(self._with_settings(refit, overrides))
        jobs, backend = self.config["jobs"], self.config["backend"]
        self._fill_stores(jobs, backend)
        runner = {"jobs": jobs, "backend": backend, "threads": self.config["threads"]}
        run_all(train, self.inner_runs(), "choosing among candidates on inner folds", **runner)
        runs = self.outer_runs()
        run_all(train, runs, "outer folds", **runner)
        return pd.concat([run.scores() for run in runs], ignore_index=True)

    def inner_runs(self) -> list[Run]:
        """Every training that choosing needs: none where there is nothing to choose."""
        candidates, inner = self.experiment.candidates, [run for run in self._planned() if run.kind == "inner"]
        return [self._with_settings(run, candidates[run.candidate - 1]) for run in inner]

    def outer_runs(self) -> list[Run]:
        """The refits, with the candidates that the inner folds have chosen."""
        return [self._with_settings(run, self._choose(run)) for run in self._planned(inner=False)]

    def all_runs(self) -> list[Run]:
        """Every training as far as it is known: refits wait for the choice of their candidates."""
        inner = self.inner_runs()
        return [*inner, *self.outer_runs()] if all(run.done for run in inner) else inner

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol; heads are deterministic and carry seed 0."""
        parts: dict[str, list] = {}
        for fold in tqdm(self.folds, desc="teachers", unit="fold"):
            for title, scores in self._scores_of_teachers(fold).items():
                parts.setdefault(title, []).append(scores)
        return {title: pd.concat(rows, ignore_index=True) for title, rows in parts.items()}

    def _planned(self, inner: bool = True) -> list[PlannedRun]:
        """What this start was asked for."""
        where = self.manifest.label_order, self.config["seeds"], self.folds
        return planned_runs(self.experiment.paths, self.config, *where, inner)

    def _with_settings(self, run: PlannedRun, overrides: dict) -> Run:
        more = {"manifest": self.manifest, "overrides": overrides, "unlabelled": self.unlabelled}
        return Run(**vars(run), config=self.config.overridden(overrides), **more)

    def _choose(self, refit: PlannedRun) -> dict:
        """The candidate of the best inner UA, pooled over the inner splits; the first of equals.

        Pooled, because a mean over splits lets one utterance of a rare class decide.
        """
        candidates = self.experiment.candidates
        if len(candidates) == 1:
            return candidates[0]
        inner, numbers = self.experiment.inner_runs(refit), range(1, len(candidates) + 1)
        read = {number: [run.scores(self.manifest) for run in inner if run.candidate == number] for number in numbers}
        pooled = [pd.concat(scores) for scores in read.values()]
        inner_ua = [ua(scores["truth"], scores["prediction"]) for scores in pooled]
        best = int(np.argmax(inner_ua))
        choice = {
            "inner_ua": [round(share, 4) for share in inner_ua],
            "chosen": best + 1,
            "candidate": candidates[best],
        }
        path = self.experiment.paths.choice(refit.seed, refit.fold)
        write_text_aside(path, json.dumps(choice, indent=2) + "\n")
        return candidates[best]

    def _scores_of_teachers(self, fold: OuterFold) -> dict[str, pd.DataFrame]:
        test, names = self.manifest.of(fold.test_speakers), attributes_of(self.config, self.manifest)
        outputs = fold_teachers(self.config, self.manifest, fold.train_speakers).lookup(test.ids, embeddings=False)
        found = {}
        for index, (title, logits) in enumerate(zip(outputs.names, outputs.logits)):
            attributes = dict(zip(test.ids, outputs.attributes[index].numpy())) if names else {}
            probs = torch.softmax(logits.double(), dim=-1).numpy()
            posteriors = Posteriors(dict(zip(test.ids, probs)), attributes)
            found[title] = label_posteriors(test, posteriors, fold.index + 1, 0, names)
        return found

    def _fill_stores(self, jobs: int, backend: str) -> None:
        views = self.config["views"]
        if views:  # clean sound alone is stored in seconds by the training that needs it first
            AudioStore(self.manifest, self.config["store_folder"]).prepare(1 + views, jobs, backend)
        if self.config["teachers"]:
            teacher_bank(self.config, self.manifest, views).prepare(jobs, backend)
            if self.unlabelled is not None:
                more = self.config["unlabelled_views"]
                teacher_bank(self.config, self.unlabelled, more).prepare(jobs, backend)

    def _prepare_unlabelled(self) -> Manifest | None:
        """The speech without labels: a folder of other people's, mixtures of the corpus's own, or none."""
        source, store = self.config["unlabelled"], self.config["store_folder"]
        if not source or not self.config["teachers"]:
            return None
        return prepare_mixtures(self.manifest, store) if source == "mixtures" else prepare_unlabelled(source, store)

    def _claim_folder(self, paths: ExperimentPaths) -> None:
        """Write down what defines the result, or refuse a folder that another definition has begun."""
        path = paths.settings
        fixed = {key: self.config[key] for key in sorted(self.config.settings) if defines_result(key)}
        fixed |= {"run_options": options} if (options := self.config.fixed_run_options) else {}
        fixed["manifest_hash"] = self.manifest.hash
        fixed["unlabelled_hash"] = None if self.unlabelled is None else self.unlabelled.hash
        if paths.exists:
            changes = list(differences(with_defaults(read_settings(paths)), with_defaults(fixed)))
            if changes:
                raise ValueError(
                    f"{self.folder} holds an experiment with other settings: {'; '.join(changes)}. "
                    "Give the old settings to continue it, or another --output_folder to start over."
                )
            return
        if paths.scored_runs():
            raise ValueError(
                f"{self.folder} holds finished trainings and no {path.name}, which says how they were trained; restore "
                "that file, or give another --output_folder to start over."
            )
        write_text_aside(paths.environment, json.dumps(environment(), indent=2) + "\n")
        with written_aside(path) as aside, open(aside, "w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(fixed, stream)  # last: a folder that has it is complete

    def _write_plan(self, paths: ExperimentPaths) -> dict:
        """What this start was asked for: of a protocol that is the same, any seeds and folds may be run."""
        plan = {
            "recipe": recipe_name(self.config),
            "system": system_of(self.config),
            "seeds": self.config["seeds"],
            "folds": [fold.index + 1 for fold in self.folds],
        }
        if self.config["models_folder"]:
            plan["models_folder"] = str(Path(self.config["models_folder"]).expanduser().resolve())
        write_text_aside(paths.plan, json.dumps(plan) + "\n")
        return plan


def find_teachers(config: Config) -> None:
    """Find, or download, the weights of every teacher before anything is computed.

    Raises
    ------
    FileNotFoundError
        If a teacher is neither in ``models_folder`` nor on the hub.
    """
    for spec in (config["teachers"] or {}).values():
        TEACHERS.build(**config.local(spec))


def differences(before, after, where: str = "") -> list[str]:
    """What changed between two trees of settings, each as ``key: old -> new``.

    Example
    -------
    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: 1 -> 3']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        missing = "(absent)"
        nested = [differences(before.get(k, missing), after.get(k, missing), f"{where}.{k}".lstrip(".")) for k in keys]
        return [change for changes in nested for change in changes]
    return [] if before == after else [f"{where}: {before} -> {after}"]


def recipe_name(config) -> str:
    """The YAML's name, and after a plus where unlabelled speech came from: ``akd+mixtures``."""
    unlabelled = config["unlabelled"]
    return config.file.stem + (f"+{Path(unlabelled).name}" if unlabelled else "")


def system_of(config) -> str:
    """``teacher`` alone, ``student`` alone, ``akd`` where the Adapter weighs at least two teachers, else ``kd``."""
    teachers = config["teachers"] or {}
    if config["student"] is None:
        return "teacher"
    weighting = (config["objective"].get("weighting") or {}).get("name")
    return "student" if not teachers else "akd" if weighting == "adapter" and len(teachers) > 1 else "kd"
