"""Speaker-independent nested cross-validation: plan the trainings, run those not done, choose, refit, score once.

For every seed and outer fold: where the YAML lists several candidates, each is trained on every inner split of the
outer training speakers and the best inner UA wins; the student is then trained on all outer training speakers and
scored once on the outer test speakers. Runs are independent, so that they spread over cores, and each is done when its
``scores.csv`` is there.
"""

import importlib
import json
import logging
import platform
import subprocess
from collections.abc import Callable
from functools import partial, partialmethod
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML
from tqdm import tqdm

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.data.folds import inner_folds, outer_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.mixtures import prepare_mixtures
from akd_toolkit.data.unlabelled import prepare_unlabelled
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.locks import marked_as_running
from akd_toolkit.experiment.parts import build_student, fold_teachers, teacher_bank
from akd_toolkit.experiment.run import Run, attributes_of, label_posteriors
from akd_toolkit.experiment.settings import defines_result, with_defaults
from akd_toolkit.experiment.stored import PLAN
from akd_toolkit.metrics.scores import ua
from akd_toolkit.outputs import Posteriors
from akd_toolkit.parallel import run_tasks
from akd_toolkit.registry import AUGMENTATIONS, GATES, LOSSES, SCHEDULES, STUDENTS, TEACHERS, WEIGHTINGS

logger = logging.getLogger(__name__)


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
        self.folds = folds[: config.get("folds") or len(folds)]
        self.candidates = config.get("candidates") or [{}]
        self._claim_folder()
        self._write_plan()

    def run(self, train: Callable[[Run], None]) -> pd.DataFrame:
        """Run what is not done yet and return the outer scores of every seed and fold.

        ``train`` is given one ``Run`` and must end with ``run.keep(...)``.
        """
        for candidate in self.candidates:  # a wrong option is found before teachers run for hours
            build_student(self.outer_run(self.config["seeds"][0], self.folds[0], candidate))
        how, views = (self.config.get("jobs", 1), self.config.get("backend", "local")), self.config.get("views", 0)
        if views:  # clean sound alone is stored in seconds by the training that needs it first
            AudioStore(self.manifest, self.config["store_folder"]).prepare(1 + views, *how)
        if self.config.get("teachers"):
            teacher_bank(self.config, self.manifest, views).prepare(*how)
            if self.unlabelled is not None:
                teacher_bank(self.config, self.unlabelled, self.config.get("unlabelled_views", 0)).prepare(*how)
        self._run_all(train, self.inner_runs(), "choosing among candidates on inner folds")
        chosen = {(seed, fold.index): self._choose(seed, fold) for seed in self.config["seeds"] for fold in self.folds}
        runs = [self.outer_run(seed, fold, chosen[seed, fold.index]) for seed, fold in self._outer()]
        self._run_all(train, runs, "outer folds")
        return pd.concat([run.scores() for run in runs], ignore_index=True)

    def inner_runs(self) -> list[Run]:
        """Every training that choosing needs: none where there is nothing to choose."""
        return [run for seed, fold in self._outer() for runs in self._inner(seed, fold) for run in runs]

    def outer_run(self, seed: int, fold, candidate: dict) -> Run:
        """The refit on all outer training speakers, scored once."""
        name = f"seed{seed}/fold{fold.index + 1}/outer"
        return self._make_run(name, seed, fold, candidate, fold.train_speakers, fold.test_speakers)

    def all_runs(self) -> list[Run]:
        """Every training as far as it is known: refits wait for the choice of their candidates."""
        inner = self.inner_runs()
        return [*inner, *self.outer_runs()] if all(run.done for run in inner) else inner

    def outer_runs(self) -> list[Run]:
        """The refits, with the candidates that have been chosen."""
        return [self.outer_run(seed, fold, self._choose(seed, fold)) for seed, fold in self._outer()]

    def teacher_scores(self) -> dict[str, pd.DataFrame]:
        """Title -> scores of each teacher under the same protocol; heads are deterministic and carry seed 0."""
        parts: dict[str, list] = {}
        names = attributes_of(self.config, self.manifest)
        for fold in tqdm(self.folds, desc="teachers", unit="fold"):
            test = self.manifest.of(fold.test_speakers)
            heard = fold_teachers(self.config, self.manifest, fold.train_speakers).lookup(test.ids, embeddings=False)
            for index, (title, logits) in enumerate(zip(heard.names, heard.logits)):
                told = dict(zip(test.ids, heard.attributes[index].numpy())) if names else {}
                posteriors = Posteriors(dict(zip(test.ids, torch.softmax(logits.double(), dim=-1).numpy())), told)
                parts.setdefault(title, []).append(label_posteriors(test, posteriors, fold.index + 1, 0, names))
        return {title: pd.concat(rows, ignore_index=True) for title, rows in parts.items()}

    @property
    def commit(self) -> str:
        """Commit of the toolkit that began this experiment."""
        return json.loads((self.folder / "environment.json").read_text(encoding="utf-8"))["commit"]

    def _outer(self) -> list:
        return [(seed, fold) for seed in self.config["seeds"] for fold in self.folds]

    def _inner(self, seed: int, fold) -> list[list[Run]]:
        """One list of inner runs a candidate."""
        if len(self.candidates) == 1:
            return []
        splits = inner_folds(fold.train_speakers, self.config["outer_folds"])
        return [
            [
                self._make_run(
                    f"seed{seed}/fold{fold.index + 1}/inner{i}-candidate{c}", seed, fold, candidate, train, valid
                )
                for i, (train, valid) in enumerate(splits, start=1)
            ]
            for c, candidate in enumerate(self.candidates, start=1)
        ]

    def _make_run(self, name, seed, fold, candidate, train_speakers, test_speakers) -> Run:
        config = self.config.overridden(candidate)
        speakers = tuple(train_speakers), tuple(test_speakers)
        return Run(config, self.manifest, name, seed, fold.index + 1, candidate, *speakers, self.unlabelled)

    def _choose(self, seed: int, fold) -> dict:
        """The candidate of the best inner UA, pooled over the inner splits; the first of equals.

        Pooled, because a mean over splits lets one utterance of a rare class decide.
        """
        inner = self._inner(seed, fold)
        if not inner:
            return self.candidates[0]
        pooled = [pd.concat([run.scores() for run in runs]) for runs in inner]
        inner_ua = [ua(scores["truth"], scores["prediction"]) for scores in pooled]
        best = int(np.argmax(inner_ua))
        choice = {
            "inner_ua": [round(share, 4) for share in inner_ua],
            "chosen": best + 1,
            "candidate": self.candidates[best],
        }
        path = self.folder / f"seed{seed}/fold{fold.index + 1}/choice.json"
        write_text_aside(path, json.dumps(choice, indent=2) + "\n")
        return self.candidates[best]

    def _run_all(self, train, runs: list[Run], what: str) -> None:
        waiting = [run for run in runs if not run.done]
        if len(waiting) < len(runs):
            logger.info("%s: %d of %d trainings were done before.", what, len(runs) - len(waiting), len(runs))
        if not waiting:
            return
        jobs = min(self.config.get("jobs", 1), len(waiting))
        registries = (LOSSES, GATES, WEIGHTINGS, SCHEDULES, TEACHERS, STUDENTS, AUGMENTATIONS)
        modules = {name for registry in registries for name in registry.modules()}
        how = {
            "threads": self.config.get("threads", 1),
            "modules": sorted(modules - {"__main__"}) if jobs > 1 else None,
        }
        with tqdm(
            total=len(runs), initial=len(runs) - len(waiting), desc=what, unit="training", disable=jobs == 1
        ) as bar:
            backend = self.config.get("backend", "local")
            run_tasks(partial(_train_one, train, **how), waiting, jobs, backend, on_done=bar.update)

    def _prepare_unlabelled(self) -> Manifest | None:
        """The speech without labels: a folder of other people's, mixtures of the corpus's own, or none."""
        source, store = self.config.get("unlabelled"), self.config["store_folder"]
        if not source or not self.config.get("teachers"):
            return None
        return prepare_mixtures(self.manifest, store) if source == "mixtures" else prepare_unlabelled(source, store)

    def _claim_folder(self) -> None:
        """Write down what defines the result, or refuse a folder that another definition has begun."""
        path = self.folder / "settings.yaml"
        fixed = {key: self.config[key] for key in sorted(self.config.settings) if defines_result(key)}
        fixed |= {"run_options": options} if (options := self.config.fixed_run_options) else {}
        fixed["manifest_hash"] = self.manifest.hash
        fixed["unlabelled_hash"] = None if self.unlabelled is None else self.unlabelled.hash
        if path.is_file():
            before = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
            changes = list(differences(with_defaults(before), with_defaults(fixed)))
            if changes:
                raise ValueError(
                    f"{self.folder} holds an experiment with other settings: {'; '.join(changes)}. "
                    "Give the old settings to continue it, or another --output_folder to begin anew."
                )
            return
        write_text_aside(self.folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
        with written_aside(path) as aside, open(aside, "w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(fixed, stream)  # last: a folder that has it is complete

    def _write_plan(self) -> None:
        """What this start was asked for: of a protocol that is the same, any seeds and folds may be run."""
        plan = {
            "recipe": recipe_name(self.config),
            "system": system_of(self.config),
            "seeds": self.config["seeds"],
            "folds": [fold.index + 1 for fold in self.folds],
        }
        if self.config.get("models_folder"):
            plan["models_folder"] = str(Path(self.config["models_folder"]).expanduser().resolve())
        write_text_aside(self.folder / PLAN, json.dumps(plan) + "\n")


def find_teachers(config: Config) -> None:
    """Find, or download, the weights of every teacher before anything is computed.

    Raises
    ------
    FileNotFoundError
        If a teacher is neither in ``models_folder`` nor on the hub.
    """
    for spec in (config.get("teachers") or {}).values():
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


def environment() -> dict:
    """Versions that a result may depend on."""
    packages = ("akd-toolkit", "torch", "torchaudio", "speechbrain", "transformers", "numpy", "scipy", "scikit-learn")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in packages},
        "commit": commit(),
    }


def recipe_name(config) -> str:
    """The YAML's name, and after a plus where unlabelled speech came from: ``akd+mixtures``."""
    unlabelled = config.get("unlabelled")
    return config.file.stem + (f"+{Path(unlabelled).name}" if unlabelled else "")


def system_of(config) -> str:
    """``teacher`` alone, ``student`` alone, ``akd`` where the Adapter weighs at least two teachers, else ``kd``."""
    teachers = config.get("teachers") or {}
    if config.get("student") is None:
        return "teacher"
    weighting = (config["objective"].get("weighting") or {}).get("name")
    return "student" if not teachers else "akd" if weighting == "adapter" and len(teachers) > 1 else "kd"


def commit() -> str:
    """Short hash of the toolkit's commit, with ``+`` where files differ from it; ``unknown`` outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + "+" * bool(changed.stdout.strip())


def _train_one(train: Callable[[Run], None], run: Run, threads: int, modules: list[str] | None) -> None:
    torch.set_num_threads(threads)
    for module in modules or ():
        importlib.import_module(module)  # plugins of the recipe's own register themselves in every worker
    if modules is not None:  # in a worker: one bar for all instead of several that overwrite each other
        tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)
    if run.done:  # meanwhile, by another process with other seeds or folds
        return
    with marked_as_running(run.folder):
        train(run)
