"""The held-out speech of a finished run, and what an engine scores on it: the ruler for every exported file."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.manifest import Manifest, load_waveforms
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import make_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.inference.engine import Engine


@dataclass(frozen=True)
class Heldout:
    """Speech of a run's test speakers, whom its student never heard.

    ``waveforms`` maps an utterance's ID to float32 [samples].
    """

    manifest: Manifest
    waveforms: dict[str, np.ndarray]
    fold: int
    seed: int


def heldout_speech(experiment: Experiment, run: PlannedRun, progress: bool = True) -> Heldout:
    """The utterances of the run's test speakers."""
    manifest = experiment.manifest.of(run.test_speakers)
    return Heldout(manifest, load_waveforms(manifest, progress), run.fold, run.seed)


def training_speech(
    experiment: Experiment, run: PlannedRun, limit: int | None = None, progress: bool = True
) -> dict[str, np.ndarray]:
    """Utterances of the run's training speakers by ID; with ``limit`` that many, evenly spread over the manifest.

    Calibration of a quantised file uses these: the held-out speakers must not shape it.
    """
    manifest = experiment.manifest.of(run.train_speakers)
    rows = list(manifest)
    if limit is not None and limit < len(rows):
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    return load_waveforms(replace(manifest, utterances=tuple(rows)), progress)


def score(engine: Engine, heldout: Heldout, title: str = "", progress: bool = True) -> pd.DataFrame:
    """Per-utterance scores of an engine, in the format of ``scores.csv``.

    Raises
    ------
    ValueError
        If the engine orders classes in another way than the corpus.
    """
    test = heldout.manifest
    if tuple(engine.label_order) != tuple(test.label_order):
        raise ValueError(
            f"the model orders classes as [{', '.join(engine.label_order)}] and {test.corpus} as "
            f"[{', '.join(test.label_order)}]; take a model that was trained on this corpus."
        )
    rows = tqdm(list(test), desc=title or "scoring", unit="utterance", disable=not progress, leave=False)
    probs = np.stack([engine.posterior(heldout.waveforms[row.id]) for row in rows])
    speakers, truth = [row.speaker for row in test], [row.emotion for row in test]
    return make_scores(test.ids, speakers, truth, probs, test.label_order, fold=heldout.fold, seed=heldout.seed)
