"""The test speech of a finished run, and the scores of an engine on it, which compare exported files."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import make_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine
from akd_toolkit.progress import tqdm


@dataclass(frozen=True)
class EvaluationSet:
    """Utterances of a run's test speakers, and their waveforms by ID, float32 [samples]."""

    manifest: Manifest
    waveforms: dict[str, np.ndarray]
    fold: int
    seed: int


def evaluation_set(experiment: Experiment, run: PlannedRun, progress: bool = True) -> EvaluationSet:
    """The utterances of the run's test speakers."""
    manifest = experiment.manifest.of(run.test_speakers)
    return EvaluationSet(manifest, load_waveforms(manifest, progress), run.fold, run.seed)


def training_speech(
    experiment: Experiment, run: PlannedRun, limit: int | None = None, progress: bool = True
) -> dict[str, np.ndarray]:
    """Waveforms of the run's training speakers by ID; with ``limit`` so many, evenly spread over the manifest.

    Quantised files are calibrated on these, never on test speakers.
    """
    manifest = experiment.manifest.of(run.train_speakers)
    rows = list(manifest)
    if limit is not None and limit < len(rows):
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    return load_waveforms(replace(manifest, utterances=tuple(rows)), progress)


def score(engine: Engine, test: EvaluationSet, title: str = "", progress: bool = True) -> pd.DataFrame:
    """Per-utterance scores of an engine, in the format of ``scores.csv``; ValueError if its label order differs."""
    rows, labels = list(test.manifest), test.manifest.label_order
    if tuple(engine.label_order) != tuple(labels):
        raise ValueError(
            f"the model orders classes as [{', '.join(engine.label_order)}] and {test.manifest.corpus} as "
            f"[{', '.join(labels)}]; take a model that was trained on this corpus."
        )
    bar = tqdm(rows, desc=title or "scoring", unit="utterance", disable=not progress, leave=False)
    probs = np.stack([engine.posterior(test.waveforms[row.id]) for row in bar])
    speakers, truth = [row.speaker for row in rows], [row.emotion for row in rows]
    return make_scores(test.manifest.ids, speakers, truth, probs, labels, fold=test.fold, seed=test.seed)
