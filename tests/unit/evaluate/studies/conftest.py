"""A finished experiment without any training: bursts of noise as speech, students with random weights."""

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus
from finished import scores_of, write_plan

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.folds import inner_folds
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.experiment.scores_file import write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.models.storage import load_student, save_student
from akd_toolkit.registry import STUDENTS

SPEAKERS = ("f1", "m1", "f2", "m2")
FOLDS = [["f1", "m1"], ["f2", "m2"]]
RATE = 16000


def bursts(folder: Path, name: str, labels, speakers=SPEAKERS, seed=0) -> Manifest:
    """Two utterances of each class by each speaker, 0.6 to 1.2 s, as 16-bit WAV files, and a manifest."""
    random, speech = np.random.default_rng(seed), []
    for speaker, (number, label) in product(speakers, enumerate([*labels] * 2)):
        samples = round(RATE * random.uniform(0.6, 1.2))
        wave = 0.1 * random.standard_normal(samples) * (np.arange(samples) % 4000 < 3000)
        sex, title = {"f": "female", "m": "male"}.get(speaker[0], ""), f"{speaker}-{label}-{number // len(labels)}"
        speech.append((title, speaker, label, wave, {"sex": sex, "sha256": f"{name}-{title}"}))
    manifest = write_corpus(folder / "wav", speech, labels, name)
    manifest.write(folder / "manifest.csv")
    return manifest


def random_scores(manifest: Manifest, speakers, fold: int, seed: int, sure: float = 2.0):
    """Scores that are right more often than not."""

    def probs(test):
        logits = np.random.default_rng([fold, seed]).standard_normal((len(test), len(manifest.label_order)))
        logits[np.arange(len(test)), test.labels] += sure
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    return scores_of(manifest, speakers, probs, fold, seed)


def write_experiment(folder: Path, manifest: Manifest, seeds=(17,), candidates=1, settings=None, folds=FOLDS):
    """What a recipe leaves of an experiment, with students that were never trained."""
    spec = {"name": "micro_cnn", **STUDENTS.get("micro_cnn").example_options}
    warmups = [{"warmup": 0.1 * index} for index in range(candidates)]
    write_plan(folder, manifest, folds, **{"student": spec, "candidates": warmups, **(settings or {})})
    for seed in seeds:
        for fold, test in enumerate(folds, start=1):
            train = [speaker for group in folds for speaker in group if group is not test]
            home = folder / f"seed{seed}/fold{fold}"
            torch.manual_seed(100 * seed + fold)
            student = STUDENTS.example("micro_cnn", num_classes=len(manifest.label_order)).eval()
            with torch.no_grad():
                student.classifier.weight.mul_(20)  # so that predictions differ between utterances
            about = {"window_s": 1.0, "test_overlap_s": 0.5, "corpus": manifest.corpus}
            about |= {"train_speakers": train, "test_speakers": test}
            save_student(home / "outer", student, spec, manifest.label_order, **about)
            write_scores(home / "outer/scores.csv", random_scores(manifest, test, fold, seed))
            if candidates > 1:
                for split, (_, valid) in enumerate(inner_folds(tuple(train), folds), start=1):
                    for candidate in range(1, candidates + 1):
                        scores = random_scores(manifest, valid, fold, seed, sure=1.0 + candidate)
                        write_scores(home / f"inner{split}-candidate{candidate}/scores.csv", scores)
                (home / "choice.json").write_text(json.dumps({"chosen": candidates, "inner_ua": [0.5] * candidates}))
    return Experiment.read(folder)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Manifest:
    return bursts(tmp_path_factory.mktemp("toy") / "toy", "toy", ("anger", "boredom", "neutral"))


@pytest.fixture(scope="session")
def stored_experiment(tmp_path_factory, corpus) -> Path:
    return write_experiment(tmp_path_factory.mktemp("stored") / "akd", corpus, seeds=(17, 18)).folder


@pytest.fixture
def experiment(tmp_path, stored_experiment) -> Experiment:
    """Two seeds of two folds, in a folder that the test may change."""
    return Experiment.read(shutil.copytree(stored_experiment, tmp_path / "results" / "akd"))


@pytest.fixture
def make_experiment(tmp_path, corpus):
    def make(name, **options) -> Experiment:
        return write_experiment(tmp_path / "results" / name, corpus, **options)

    return make


@pytest.fixture(scope="session")
def naive():
    """(run, test) -> posteriors of a run's student by plain loops over windows in samples."""

    def posteriors(run, test, window=16000, hop=8000, change=lambda row, wave: wave):
        (student, _), found = load_student(run.folder), {}
        for row in test:
            wave = change(row, read_audio(row.wav))
            starts = [*range(0, max(0, len(wave) - window), hop), max(0, len(wave) - window)]
            with torch.no_grad():
                logits = [student(torch.from_numpy(wave[s : s + window].copy())[None]).logits[0] for s in starts]
            found[row.id] = np.mean([torch.softmax(one.double(), dim=0).numpy() for one in logits], axis=0)
        return found

    return posteriors


@pytest.fixture(scope="session")
def make_corpus():
    return bursts


@pytest.fixture(scope="session")
def make_random_scores():
    return random_scores
