"""Which trainings an experiment consists of.

For every seed and outer fold: with several candidates, one inner run for each candidate and inner split of the outer
training speakers; then one outer run (refit) on all of these speakers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from akd_toolkit.data.folds import OuterFold, inner_folds, labelled_ids
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.paths import ExperimentPaths, RunPaths
from akd_toolkit.experiment.record import RunRecord, read_with
from akd_toolkit.experiment.scores_file import parse_scores, wrong_scores


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One training of the plan, and the files it has written so far.

    ``name`` is its folder below the experiment's, such as ``seed17/fold1/inner2-candidate1``; ``fold``, ``split`` and
    ``candidate`` count from 1, and the last two are None for an outer run. ``label_share`` is the setting.
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
    label_share: float = 1.0

    def tested(self, manifest: Manifest) -> Manifest:
        """The utterances that the run is scored on; of an inner run those that keep their label."""
        test = manifest.of(self.test_speakers)
        if self.kind == "outer" or self.label_share == 1:
            return test
        kept = labelled_ids(manifest, self.label_share, self.seed)
        return replace(test, utterances=tuple(row for row in test if row.id in kept))

    @property
    def kind(self) -> str:
        """``outer``: scored on the fold's test speakers; ``inner``: compares candidates."""
        return "outer" if self.split is None else "inner"

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.folder)

    @property
    def state(self) -> str:
        return self.paths.state

    @property
    def done(self) -> bool:
        return self.paths.done

    @cached_property
    def record(self) -> RunRecord:
        return RunRecord.read(self.paths)

    def scores(self, manifest: Manifest | None = None) -> pd.DataFrame:
        """Scores of each test utterance.

        FileNotFoundError or ValueError if missing, damaged, or (given ``manifest``) not of its test utterances.
        """

        def parsed(path: Path) -> pd.DataFrame:
            scores = parse_scores(path, self.label_order)
            if manifest and (problem := wrong_scores(scores, manifest, self.tested(manifest), self.seed, self.fold)):
                raise ValueError(f"it {problem}")
            return scores

        return read_with(parsed, self.paths.scores)

    def history(self) -> pd.DataFrame:
        """One row for each epoch, with the mean of every part of the objective."""
        return read_with(pd.read_csv, self.paths.history)


def candidates_of(settings) -> list[dict]:
    """Overrides that the inner folds choose from; a single one needs no inner folds."""
    return settings.get("candidates") or [{}]


def speakers_known(settings, manifest: Manifest) -> bool:
    """Whether speakers are known, which neither the preparer nor the recipe has denied."""
    return manifest.speakers_known and settings.get("speaker_independent", True)


def planned_runs(
    paths: ExperimentPaths,
    settings,
    label_order: Sequence[str],
    seeds: Sequence[int],
    folds: Sequence[OuterFold],
    inner: bool = True,
) -> list[PlannedRun]:
    """Every training (or the outer runs) by seed and fold, inner runs before the outer run; none without a student."""

    def of_fold(seed: int, fold: OuterFold) -> Iterator[PlannedRun]:
        count = len(candidates_of(settings))
        splits = inner_folds(fold.train_speakers, settings["outer_folds"]) if inner and count > 1 else []
        for candidate in range(1, count + 1):
            for split, (train, test) in enumerate(splits, start=1):
                yield planned(seed, fold, train, test, split, candidate)
        yield planned(seed, fold, fold.train_speakers, fold.test_speakers)

    def planned(seed: int, fold: OuterFold, train, test, split=None, candidate=None) -> PlannedRun:
        folder = paths.run(seed, fold.index + 1, split, candidate).folder
        return PlannedRun(
            folder=folder,
            name=folder.relative_to(paths.folder).as_posix(),
            seed=seed,
            fold=fold.index + 1,
            train_speakers=tuple(train),
            test_speakers=tuple(test),
            label_order=tuple(label_order),
            split=split,
            candidate=candidate,
            label_share=settings.get("label_share") or 1.0,
        )

    if settings.get("student") is None:
        return []
    return [run for seed in seeds for fold in folds for run in of_fold(seed, fold)]
