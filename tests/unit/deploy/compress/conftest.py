"""A finished experiment without any training: noise for speech, tiny students with random weights, a cheap teacher."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus
from finished import write_plan, write_scores_of

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.paths import RunPaths
from akd_toolkit.experiment.record import RunRecord
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.registry import STUDENTS

LABELS = ("anger", "sadness")
FOLDS = [["A", "B"], ["C", "D"]]
RATE = 16000
SPEC = {"name": "micro_cnn", "channels": [8, 16], "dim": 16, "dilations": [1, 2], "embedding_dim": 16}
SETTINGS = {
    "student": SPEC,
    "candidates": [{"batch_size": 8}],
    "teachers": {"bands": {"name": "logmel_statistics", "num_mels": 8}},
    "soft_targets": "cross_fitted",
    "objective": {"task": {"name": "cross_entropy"}, "distill": [{"name": "logit_mse", "weight": 0.2}]},
    "opt_class": {"!name:torch.optim.AdamW": {"lr": 0.01, "weight_decay": 0.0}},
    "number_of_epochs": 1,
    "batch_size": 4,
    "window_s": 0.5,
    "test_overlap_s": 0.1,
    "temperature": 2.0,  # a helper that other settings refer to, in the YAML that they came from
    "unlabelled_hash": None,
}


def dark_and_bright(folder: Path) -> Manifest:
    """Noise, dark where sad, of four speakers: 0.4 to 0.8 s, three utterances an emotion."""
    random, speech = np.random.default_rng(0), []
    for speaker, label, copy in product("ABCD", LABELS, range(3)):
        wave = 0.1 * random.standard_normal(round(RATE * random.uniform(0.4, 0.8)))
        wave = np.cumsum(wave) / 20 if label == "sadness" else wave
        speech.append((f"{speaker}-{label}-{copy}", speaker, label, np.clip(wave, -0.9, 0.9)))
    return write_corpus(folder, speech, name="toy")


def write_experiment(folder: Path, **changes) -> Experiment:
    """What the protocol leaves of an experiment of one seed; of one candidate. A store lies beside it."""
    manifest = dark_and_bright(folder / "wav")
    (folder.parent / "store").mkdir(exist_ok=True)
    write_plan(folder, manifest, FOLDS, **{**SETTINGS, **changes})
    for fold, test in enumerate(FOLDS, start=1):
        torch.manual_seed(fold)
        student = STUDENTS.build(**SPEC, num_classes=2).eval()
        home = folder / f"seed17/fold{fold}/outer"
        train = tuple(speaker for group in FOLDS if group is not test for speaker in group)
        record = RunRecord(
            student=SPEC,
            label_order=LABELS,
            train_speakers=train,
            test_speakers=tuple(test),
            window_s=0.5,
            test_overlap_s=0.1,
            corpus="toy",
            candidate={"batch_size": 8},
        )
        record.write(RunPaths(home), student)
        write_scores_of(home, manifest, test, np.full((6 * len(test), 2), 0.5), fold)
    return Experiment.read(folder)


@pytest.fixture
def make_experiment():
    return write_experiment


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Experiment:
    """One for all tests that do not change it."""
    return write_experiment(tmp_path_factory.mktemp("results") / "akd")
