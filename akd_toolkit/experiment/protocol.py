"""Speaker-independent nested cross-validation.

For every seed and outer fold: with several candidates, each is trained on every inner split of the outer training
speakers and the best inner UA wins; the student is then trained on all outer training speakers and scored once on the
outer test speakers.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from itertools import compress, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.folds import OuterFold, named_groups, outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import prepare_mixtures, prepare_unlabelled, titled
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.parts import build_student, fold_teachers, teacher_bank
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.plan import PlannedRun, planned_runs
from akd_toolkit.experiment.record import environment, read_json
from akd_toolkit.experiment.run import Run, attributes_of, label_posteriors, run_all
from akd_toolkit.experiment.settings import defines_result, with_defaults
from akd_toolkit.experiment.stored import Experiment, read_settings
from akd_toolkit.metrics.scores import ua
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.outputs import Posteriors
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import TEACHERS


class NestedCrossValidation:
    """The protocol of one experiment: a checked recipe on a prepared corpus.

    ValueError if the output folder holds an experiment with other settings, or the folds are not a partition of the
    speakers; FileNotFoundError if a teacher is neither in ``models_folder`` nor on the hub.
    """

    def __init__(self, config: Config, manifest: Manifest):
        groups = named_groups(manifest.speakers, config["outer_folds"])
        if groups != config["outer_folds"]:
            config = config.overridden({"outer_folds": groups})
        self.config = config
        self.manifest = manifest
        attributes_of(config, manifest)  # errors before teachers are run
        find_teachers(config)
        self.folder = Path(config["output_folder"])
        places, store = titled(config["unlabelled"]), config["store_folder"]
        self.unlabelled = {
            title: prepare_mixtures(manifest, store) if place == "mixtures" else prepare_unlabelled(place, store)
            for title, place in places.items()
            if config["teachers"]
        }
        folds = outer_folds(manifest, config["outer_folds"])
        self.folds = folds[: config["folds"] or len(folds)]
        paths = ExperimentPaths(self.folder)
        self._claim_folder(paths)
        plan = {
            "recipe": "+".join([config.file.stem, *places]) + shown_share(config["label_share"]),
            "system": _system(config),
            "seeds": config["seeds"],
            "folds": [fold.index + 1 for fold in self.folds],
        }
        if config["models_folder"]:
            plan["models_folder"] = str(Path(config["models_folder"]).expanduser().resolve())
        write_text_aside(paths.plan, json.dumps(plan) + "\n")
        self.experiment = Experiment(self.folder, config.settings, read_json(paths.environment), plan, manifest)

    def run(self, train: Callable[[Run], None]) -> pd.DataFrame:
        """Run what is not done yet and return the outer scores of every seed and fold.

        ``train`` gets one ``Run`` and must end with ``save_results``.
        """
        first = self._planned(inner=False)[0]
        for number in range(len(self._configs)):  # finds wrong options before teachers run for hours
            build_student(self._with_settings(first, number))
        jobs, backend = self.config["jobs"], self.config["backend"]
        self._fill_stores(jobs, backend)
        options = {"jobs": jobs, "backend": backend, "threads": self.config["threads"]}
        run_all(train, self.inner_runs(), "candidates on inner folds", **options)
        runs = self.outer_runs()
        run_all(train, runs, "outer folds", **options)
        return pd.concat([run.scores() for run in runs], ignore_index=True)

    def inner_runs(self) -> list[Run]:
        """Trainings that compare candidates; none for a single candidate."""
        return [self._with_settings(run, run.candidate - 1) for run in self._planned() if run.kind == "inner"]

    def outer_runs(self) -> list[Run]:
        """The outer runs, with the candidates that the inner folds chose."""
        return [self._with_settings(run, self._choose(run)) for run in self._planned(inner=False)]

    def all_runs(self) -> list[Run]:
        """Every training known so far: outer runs wait for the choice of their candidates."""
        inner = self.inner_runs()
        return [*inner, *self.outer_runs()] if all(run.done for run in inner) else inner

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol, of seed 0 where heads are fitted on all labels."""
        found: dict[str, list] = {title: [] for title in self.config["teachers"] or {}}
        seeds = self.config["seeds"] if self.config["label_share"] < 1 else [0]
        for seed, fold in tqdm([*product(seeds, self.folds)], desc="teachers", unit="fold"):
            for title, scores in self._teacher_scores(fold, seed).items():
                found[title].append(scores)
        return {title: pd.concat(scores, ignore_index=True) for title, scores in found.items()}

    def _teacher_scores(self, fold: OuterFold, seed: int) -> dict[str, pd.DataFrame]:
        test, names = self.manifest.of(fold.test_speakers), attributes_of(self.config, self.manifest)
        teachers = fold_teachers(self.config, self.manifest, fold.train_speakers, seed)
        outputs = teachers.lookup(test.ids, embeddings=False)
        found = {}
        for index, (title, logits) in enumerate(zip(outputs.names, outputs.logits)):
            attributes = dict(zip(test.ids, outputs.attributes[index].numpy())) if names else {}
            probs = torch.softmax(logits.double(), dim=-1).numpy()
            posteriors = Posteriors(dict(zip(test.ids, probs)), attributes)
            scored = compress(test, outputs.is_present()[index])  # a teacher is scored where it has an output
            part = replace(test, utterances=tuple(scored))
            found[title] = label_posteriors(part, posteriors, fold.index + 1, seed, names)
        return found

    def _planned(self, inner: bool = True) -> list[PlannedRun]:
        """Runs of the seeds and folds of this start."""
        where = self.manifest.label_order, self.config["seeds"], self.folds
        return planned_runs(self.experiment.paths, self.config, *where, inner)

    @cached_property
    def _configs(self) -> list[Config]:
        """The settings of each candidate."""
        return [self.config.overridden(overrides) for overrides in self.experiment.candidates]

    def _with_settings(self, run: PlannedRun, number: int) -> Run:
        candidate = {"config": self._configs[number], "overrides": self.experiment.candidates[number]}
        return Run(**vars(run), **candidate, manifest=self.manifest, unlabelled=self.unlabelled)

    def _choose(self, outer: PlannedRun) -> int:
        """The index of the candidate with the best UA pooled over the inner splits; the first of equals.

        Pooled, because in a mean over splits a single utterance of a rare class decides.
        """
        candidates = self.experiment.candidates
        if len(candidates) == 1:
            return 0
        inner, inner_ua = self.experiment.inner_runs(outer), []
        for number in range(1, len(candidates) + 1):
            pooled = pd.concat([run.scores(self.manifest) for run in inner if run.candidate == number])
            inner_ua.append(ua(pooled["truth"], pooled["prediction"]))
        best = int(np.argmax(inner_ua))
        rounded = [round(share, 4) for share in inner_ua]
        choice = {"inner_ua": rounded, "chosen": best + 1, "candidate": candidates[best]}
        write_text_aside(self.experiment.paths.choice(outer.seed, outer.fold), json.dumps(choice, indent=2) + "\n")
        return best

    def _fill_stores(self, jobs: int, backend: str) -> None:
        views = self.config["views"]
        if views:  # clean sound is stored in seconds by the first training
            AudioStore(self.manifest, self.config["store_folder"]).prepare(1 + views, jobs, backend)
        if self.config["teachers"]:
            teacher_bank(self.config, self.manifest, views).prepare(jobs, backend)
            for manifest in self.unlabelled.values():
                teacher_bank(self.config, manifest, self.config["unlabelled_views"]).prepare(jobs, backend)

    def _claim_folder(self, paths: ExperimentPaths) -> None:
        """Write the settings that define the result; ValueError if the folder has other ones."""
        fixed = {key: self.config[key] for key in sorted(self.config.settings) if defines_result(key)}
        fixed |= {"run_options": options} if (options := self.config.fixed_run_options) else {}
        fixed["manifest_hash"] = self.manifest.hash
        fixed["unlabelled_hash"] = {title: manifest.hash for title, manifest in self.unlabelled.items()} or None
        fixed["log_mel_version"] = LogMel.version  # trainings on other features must not join
        if paths.exists:
            if changes := differences(with_defaults(read_settings(paths)), with_defaults(fixed)):
                raise ValueError(
                    f"{self.folder} holds an experiment with other settings: {'; '.join(changes)}. "
                    "Give the old settings to continue it, or another --output_folder to start over."
                )
            return
        if paths.scored_runs():
            raise ValueError(
                f"{self.folder} holds finished trainings but no {paths.settings.name}, which says how they were "
                "trained; restore that file, or give another --output_folder to start over."
            )
        write_text_aside(paths.environment, json.dumps(environment(), indent=2) + "\n")
        with written_aside(paths.settings) as aside, open(aside, "w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(fixed, stream)  # last: a folder that has it is complete


def shown_share(share: float) -> str:
    """What the name of a recipe says of its ``label_share``.

    Example
    -------
    >>> shown_share(0.25), shown_share(1.0)
    (' (25 % of the labels)', '')
    """
    return f" ({100 * share:g} % of the labels)" if share < 1 else ""


def find_teachers(config: Config) -> None:
    """Build every teacher once, which finds or downloads its weights; errors come before anything is computed."""
    for spec in (config["teachers"] or {}).values():
        TEACHERS.build(**config.local(spec))


def differences(before, after, where: str = "") -> list[str]:
    """Differences of two trees of settings, each as ``key: old -> new``.

    Example
    -------
    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: 1 -> 3']
    """
    if isinstance(before, dict) and isinstance(after, dict):
        changes = []
        for key in dict.fromkeys([*before, *after]):
            old, new = before.get(key, "(absent)"), after.get(key, "(absent)")
            changes += differences(old, new, f"{where}.{key}".lstrip("."))
        return changes
    return [] if before == after else [f"{where}: {before} -> {after}"]


def _system(config: Config) -> str:
    """``teacher``, ``student``, ``akd`` (an Adapter weights at least two teachers) or ``kd``."""
    teachers = config["teachers"] or {}
    if config["student"] is None:
        return "teacher"
    weighting = (config["objective"].get("weighting") or {}).get("name")
    return "student" if not teachers else "akd" if weighting == "adapter" and len(teachers) > 1 else "kd"
