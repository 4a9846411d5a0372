"""Which trainings an experiment consists of: worked out here for the protocol that runs them and for all who read them.

For every seed and outer fold: where there are several candidates, each is trained on every inner split of the outer
training speakers; then one refit on all of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from akd_toolkit.data.folds import OuterFold, inner_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths
from akd_toolkit.experiment.record import RunRecord, read_with
from akd_toolkit.experiment.scores_file import parse_scores, wrong_scores


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One training of the plan, and what it has left so far.

    Arguments
    ---------
    name
        Its folder below the experiment's: ``seed17/fold1/outer`` or ``seed17/fold1/inner2-candidate1``.
    fold, split, candidate
        Counted from 1; split and candidate are None for a refit (an outer run).
    """

    folder: Path
    name: str
    seed: int
    fold: int
    train_speakers: tuple[str, ...]
    test_speakers: tuple[str, ...]
    label_order: tuple[str, ...]
    split: int | None = None
    candidate: int | None = None

    @property
    def kind(self) -> str:
        """``outer`` (the refit that is scored on the fold's test speakers) or ``inner`` (one that helps to choose)."""
        return "outer" if self.split is None else "inner"

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.folder)

    @property
    def state(self) -> str:
        """As ``RunPaths.state``."""
        return self.paths.state

    @property
    def done(self) -> bool:
        return self.paths.done

    @cached_property
    def record(self) -> RunRecord:
        """What it told of itself at its end."""
        return RunRecord.read(self.paths)

    def scores(self, manifest: Manifest | None = None) -> pd.DataFrame:
        """Per-utterance scores of its test speakers, compared with the corpus where ``manifest`` is given.

        Raises
        ------
        FileNotFoundError, ValueError
            If the file is missing or damaged, or does not hold each test utterance of the corpus once.
        """

        def parsed(path: Path) -> pd.DataFrame:
            scores = parse_scores(path, self.label_order)
            asked = self.test_speakers, self.seed, self.fold
            if manifest is not None and (problem := wrong_scores(scores, manifest, *asked)):
                raise ValueError(f"it {problem}")
            return scores

        return read_with(parsed, self.paths.scores)

    def history(self) -> pd.DataFrame:
        """One row an epoch: the mean of every part of the objective."""
        return read_with(pd.read_csv, self.paths.history)


def candidates_of(settings) -> list[dict]:
    """Overrides among which the inner folds choose; one means that there is nothing to choose."""
    return settings.get("candidates") or [{}]


def speakers_known(settings, manifest: Manifest) -> bool:
    """Whether anybody has said who speaks: neither the preparer nor the recipe says that nobody has."""
    return manifest.speakers_known and settings.get("speaker_independent", True)


def planned_runs(
    paths: ExperimentPaths,
    settings,
    label_order: Sequence[str],
    seeds: Sequence[int],
    folds: Sequence[OuterFold],
    inner: bool = True,
) -> list[PlannedRun]:
    """Every training by seed and fold, inner ones before the refit; none where teachers are scored alone.

    Arguments
    ---------
    settings
        Of the experiment: of these ``student``, ``candidates`` and ``outer_folds`` are read.
    inner
        False for the refits alone.
    """
    if settings.get("student") is None:
        return []
    of_fold = partial(_of_fold, paths, settings, tuple(label_order), inner)
    return [run for seed in seeds for fold in folds for run in of_fold(seed, fold)]


def _of_fold(paths: ExperimentPaths, settings, label_order, inner: bool, seed: int, fold: OuterFold):
    number = len(candidates_of(settings))
    splits = inner_folds(fold.train_speakers, settings["outer_folds"]) if inner and number > 1 else []
    which = [(speakers, split, c) for c in range(1, number + 1) for split, speakers in enumerate(splits, start=1)]
    for (train, test), split, candidate in [*which, ((fold.train_speakers, fold.test_speakers), None, None)]:
        folder = paths.run(seed, fold.index + 1, split, candidate).folder
        yield PlannedRun(
            folder=folder,
            name=folder.relative_to(paths.folder).as_posix(),
            seed=seed,
            fold=fold.index + 1,
            train_speakers=tuple(train),
            test_speakers=tuple(test),
            label_order=label_order,
            split=split,
            candidate=candidate,
        )
