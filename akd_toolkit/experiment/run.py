"""One training of the protocol: its settings and corpus, the files it writes, and how several are run."""

import importlib
import itertools
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.folds import labelled_ids
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import Source, limited
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.paths import locked
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.record import RunRecord, environment
from akd_toolkit.experiment.scores_file import make_scores, write_scores
from akd_toolkit.parallel import run_tasks
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import AUGMENTATIONS, GATES, LOSSES, SCHEDULES, STUDENTS, TEACHERS, WEIGHTINGS
from akd_toolkit.teachers import TeacherFold

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Run(PlannedRun):
    """One training: the student is trained on ``train_speakers`` and scored on ``test_speakers``.

    Plain data; ``experiment/parts.py`` builds the objects. ``overrides`` is the candidate, which ``config`` includes;
    ``unlabelled`` maps the title of each source of unlabelled speech to its manifest.
    """

    config: Config
    manifest: Manifest
    overrides: dict
    unlabelled: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def train(self) -> Manifest:
        return self.manifest.of(self.train_speakers)

    @property
    def labelled(self) -> Manifest:
        """The training utterances that keep their label."""
        kept = labelled_ids(self.manifest, self.label_share, self.seed)
        return replace(self.train, utterances=tuple(row for row in self.train if row.id in kept))

    @property
    def hidden(self) -> Manifest:
        """The other training utterances, without dimensional labels; their emotion must not be used."""
        kept = labelled_ids(self.manifest, self.label_share, self.seed)
        rows = tuple(replace(row, attributes={}) for row in self.train if row.id not in kept)
        return replace(self.train, utterances=rows)

    @property
    def test(self) -> Manifest:
        return self.tested(self.manifest)

    @property
    def sources(self) -> dict[str, Source]:
        """Title -> how the source is used, for those with a weight."""
        uses = {title: Source(**(self.config["sources"].get(title) or {})) for title in self.unlabelled}
        return {title: use for title, use in uses.items() if use.weight}

    @property
    def unlabelled_train(self) -> dict[str, Manifest]:
        """Title -> unlabelled training speech; of a source with speakers of the corpus, that of training speakers."""
        found = {}
        for title, use in self.sources.items():
            whole = self.unlabelled[title]
            own = [speaker for speaker in whole.speakers if speaker in self.train_speakers]
            found[title] = limited(whole.of(own or whole.speakers), use.limit)
        return found

    def scores(self, manifest: Manifest | None = None) -> pd.DataFrame:
        return super().scores(manifest or self.manifest)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Dimensional labels that are learned besides the emotion."""
        return attributes_of(self.config, self.manifest)

    @property
    def one_head(self) -> bool:
        """Whether losses imitate the head that was fitted on all training speakers."""
        return self.config["soft_targets"] == "one_head"

    def save(
        self,
        student: torch.nn.Module,
        posteriors: Mapping[str, np.ndarray],
        history: list[dict],
        seconds: float,
        proof: dict[str, list[str]],
        teachers: TeacherFold | None = None,
    ) -> None:
        """Write the student, the record, the history and, last, the scores; ``proof`` is from ``leaks.audit``."""
        record = RunRecord(
            student=self.config.build()["student"],
            label_order=self.label_order,
            window_s=self.config["window_s"],
            test_overlap_s=self.config["test_overlap_s"],
            corpus=self.manifest.corpus,
            attributes=self.attributes,
            kind=self.kind,
            seed=self.seed,
            fold=self.fold,
            split=self.split,
            candidate=self.overrides,
            train_speakers=self.train_speakers,
            test_speakers=self.test_speakers,
            seconds=round(seconds, 1),
            heads={teacher.title: teacher.described_heads() for teacher in teachers or ()},
            environment=environment(),
            **proof,
        )
        record.write(self.paths, student)
        write_text_aside(self.paths.history, pd.DataFrame(history).to_csv(index=False))
        write_scores(self.paths.scores, label_posteriors(self.test, posteriors, self.fold, self.seed, self.attributes))


def attributes_of(config: Config, manifest: Manifest) -> tuple[str, ...]:
    """The dimensional labels of the YAML; ValueError if the manifest lacks one or the objective needs some."""
    names, has = tuple(config["attributes"] or ()), manifest.attribute_names
    available = ", ".join(has) or "none"
    if missing := [name for name in names if name not in has]:
        raise ValueError(
            f"attributes: no utterance of {manifest.corpus} has {missing[0]}; its manifest has {available}. List some "
            "of these, or none."
        )
    for key, registry in (("task", LOSSES), ("distill", LOSSES), ("gate", GATES)):
        specs = (config["objective"] or {}).get(key) or []
        for spec in [specs] if isinstance(specs, dict) else specs:
            plugin = registry.get(spec["name"])
            if not names and (plugin.truth == "attributes" or "attributes" in getattr(plugin, "reads", ())):
                raise ValueError(
                    f"{registry.kind} '{spec['name']}' needs dimensional labels, and {manifest.corpus} has "
                    f"{available}; list them in the setting 'attributes', or leave the {key} out."
                )
    if names and config["head_decay"] is not None:
        raise ValueError("head_decay fits the head of the emotions alone; set it to null to learn attributes.")
    return names


def label_posteriors(
    test: Manifest, posteriors: dict, fold: int, seed: int, attributes: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Scores of posteriors, and of attributes if they have any, by utterance ID."""
    predicted = getattr(posteriors, "attributes", {})
    pairs = {}
    if attributes and predicted:
        values = np.stack([predicted[utterance_id] for utterance_id in test.ids])
        pairs = dict(zip(attributes, zip(test.attribute_values(attributes).T, values.T)))
    return make_scores(
        test.ids,
        [row.speaker for row in test],
        [row.emotion for row in test],
        np.stack([posteriors[utterance_id] for utterance_id in test.ids]),
        test.label_order,
        fold=fold,
        seed=seed,
        attributes=pairs,
    )


def run_all(
    train: Callable[[Run], None], runs: list[Run], what: str, jobs: int = 1, backend: str = "local", threads: int = 1
) -> None:
    """Call ``train`` on every run that is not done; ``what`` labels the progress bar."""
    waiting = [run for run in runs if not run.done]
    done = len(runs) - len(waiting)
    if done:
        logger.info("%s: %d of %d trainings were done before.", what, done, len(runs))
    jobs, plugins = max(1, min(jobs, len(waiting))), []
    if jobs > 1:  # workers import the modules that registered plugins, such as the recipe's own
        registries = (LOSSES, GATES, WEIGHTINGS, SCHEDULES, TEACHERS, STUDENTS, AUGMENTATIONS)
        plugins = sorted({name for registry in registries for name in registry.modules()} - {"__main__"})
    numbers = itertools.count(done + 1)

    def count():
        bar.update()
        if not sys.stderr.isatty():
            logger.info("%s: training %d of %d is done.", what, next(numbers), len(runs))

    with tqdm(total=len(runs), initial=done, desc=what, unit="training", disable=jobs < 2) as bar:
        run_tasks(partial(_run_one, train, threads, plugins), waiting, jobs, backend, on_done=count)


def _run_one(train: Callable[[Run], None], threads: int, plugins: list[str], run: Run) -> None:
    torch.set_num_threads(threads)
    for module in plugins:
        importlib.import_module(module)
    if not run.done:  # another process may have finished it meanwhile
        with locked(run.paths.lock):
            train(run)
