import numpy as np
import pandas as pd
import pytest

from akd_toolkit.experiment.scores_file import make_scores

LABELS = ["ang", "neu", "sad"]


@pytest.fixture(scope="session")
def labels():
    return list(LABELS)


@pytest.fixture(scope="session")
def invented():
    """Builds scores of 60 utterances by six speakers in three folds; a larger skill is right more often."""

    def build(skill=1.0, seeds=(1, 2)):
        corpus = np.random.default_rng(0)
        speaker = np.array([f"{index % 6:02d}" for index in range(60)])
        truth = corpus.integers(3, size=60)
        runs = []
        for seed in seeds:
            logits = np.random.default_rng(100 + seed).normal(size=(60, 3))
            logits[np.arange(60), truth] += skill
            probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            for fold in range(3):
                rows = np.flatnonzero(speaker.astype(int) // 2 == fold)
                ids = [f"utterance{index:02d}" for index in rows]
                named = [LABELS[index] for index in truth[rows]]
                runs.append(make_scores(ids, speaker[rows], named, probs[rows], LABELS, fold=fold, seed=seed))
        return pd.concat(runs, ignore_index=True)

    return build


@pytest.fixture
def row():
    """A row of results.csv as ``append_results`` takes it."""
    key = {"corpus": "EmoDB", "recipe": "akd", "system": "akd", "student": "micro_cnn", "teachers": "whisper"}
    scores = {"wa_mean": 0.801, "wa_std": 0.041, "ua_mean": 0.754, "ua_std": 0.048}
    pooled = {"wa_pooled": 0.806, "ua_pooled": 0.79, "ua_low": 0.7512, "ua_high": 0.8266}
    return {
        **key,
        **{"params": 163_000, "folds": 5, "seeds": 3},
        **scores,
        **pooled,
        **{"minutes": 12.34, "commit": "0a1b2c3", "date": "2026-01-31"},
    }
