"""Per-utterance scores and finished experiments, written without any training."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finished import scores_of, write_plan
from matplotlib.figure import Figure

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.evaluate.report.results import results_row
from akd_toolkit.experiment.scores_file import make_scores, write_scores

LABELS, EMOTIONS = ["ang", "neu", "sad"], ("anger", "sadness")


@pytest.fixture(scope="session")
def labels():
    return list(LABELS)


@pytest.fixture(scope="session")
def invented():
    """Builds scores of 60 utterances by six speakers in three folds; a larger skill is correct more often."""

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


@pytest.fixture(scope="session")
def row():
    """A row of results.csv, with changes."""
    given = {"corpus": "EmoDB", "recipe": "akd", "system": "akd", "student": "micro_cnn", "teachers": "whisper"}
    given |= {"params": 163_000, "minutes": 12.34, "commit": "0a1b2c3", "date": "2026-01-31"}
    found = {"folds": 5, "seeds": 3, "wa_mean": 0.801, "wa_std": 0.041, "ua_mean": 0.754, "ua_std": 0.048}
    found |= {"wa_pooled": 0.806, "ua_pooled": 0.79, "ua_low": 0.7512, "ua_high": 0.8266}

    def make(**changes):
        names = {name: changes.pop(name, value) for name, value in given.items()}
        return results_row({**found, **changes}, **names | {"teachers": [names["teachers"]]})

    return make


def corpus(name="Toy", speakers="ABCD", per_class=2, labels=EMOTIONS) -> Manifest:
    cells = [(s, label, f"{label}{index}") for s in speakers for label in labels for index in range(per_class)]
    rows = [
        Utterance(f"{s}-{tail}", f"/{s}-{tail}.wav", 0, 1600, 0.1, s, label, sha256=f"{s}{tail}")
        for s, label, tail in cells
    ]
    return Manifest(name, labels, tuple(rows))


@pytest.fixture(scope="session")
def write_experiment():
    return written_experiment


@pytest.fixture
def experiment(tmp_path):
    return partial(written_experiment, tmp_path)


def written_experiment(
    root,
    name="akd",
    manifest=None,
    wrong=(),
    seeds=(17,),
    folds=None,
    teachers=None,
    trust=False,
    candidates=None,
    system="akd",
    done=lambda seed, fold: True,
    **settings,
):
    """Write the folder of a finished experiment and return it.

    ``wrong`` lists the utterances that its student gets wrong, for every seed or by seed; two folds by default.
    """
    manifest = manifest or corpus()
    folder = root / name
    speakers = list(manifest.speakers)
    folds = folds or [speakers[: len(speakers) // 2], speakers[len(speakers) // 2 :]]
    settings = {"number_of_epochs": 2, **settings}
    settings |= {"teachers": {title: {"name": "logmel_statistics"} for title in teachers}} if teachers else {}
    settings |= {"candidates": candidates} if candidates else {}
    plan = {"recipe": name, "system": system, "seeds": list(seeds), "folds": list(range(1, len(folds) + 1))}
    write_plan(folder, manifest, folds, plan, **settings)
    for seed in seeds:
        missed = wrong.get(seed, ()) if isinstance(wrong, dict) else wrong
        for fold, tested in enumerate(folds, start=1):
            if done(seed, fold):
                write_run(folder, manifest, seed, fold, tested, missed, trust)
                if candidates:
                    chosen = {"inner_ua": [0.5, 0.75], "chosen": 2, "candidate": candidates[1]}
                    (folder / f"seed{seed}/fold{fold}/choice.json").write_text(json.dumps(chosen))
    for title, missed in (teachers or {}).items():
        rows = [scored(manifest, 0, fold, tested, missed) for fold, tested in enumerate(folds, start=1)]
        write_scores(folder / "teachers" / title / "scores.csv", pd.concat(rows))
    return folder


def scored(manifest: Manifest, seed, fold, speakers, wrong) -> pd.DataFrame:
    """Correct with probability 0.8, except for the utterances in ``wrong``, which get the next class."""
    classes = len(manifest.label_order)

    def probs(test):
        places = (test.labels + [row.id in wrong for row in test]) % classes
        return np.where(np.arange(classes) == places[:, None], 0.8, 0.2 / (classes - 1))

    return scores_of(manifest, speakers, probs, fold, seed)


def write_run(folder, manifest, seed, fold, tested, wrong, trust):
    run = folder / f"seed{seed}/fold{fold}/outer"
    run.mkdir(parents=True)
    trained = [speaker for speaker in manifest.speakers if speaker not in tested]
    student = {"student": {"name": "micro_cnn"}, "label_order": list(manifest.label_order), "num_parameters": 163_000}
    (run / "student.json").write_text(json.dumps(student))
    record = {"train_speakers": trained, "test_speakers": list(tested), "seconds": 60.0, "seed": seed, "fold": fold}
    record |= {"proved": ["training and test speakers do not overlap"], "not_proved": ["that no text is shared"]}
    (run / "record.json").write_text(json.dumps(record))
    metrics = pd.DataFrame({"epoch": [1, 2], "total": [2.0, 1.0], "cross_entropy": [1.5, 0.5]})
    if trust:
        for label in manifest.label_order:
            metrics[f"trust/big/{label}"], metrics[f"trust/small/{label}"] = [0.5, 0.7], [0.5, 0.3]
    metrics.to_csv(run / "metrics.csv", index=False)
    write_scores(run / "scores.csv", scored(manifest, seed, fold, tested, wrong))


@pytest.fixture
def make_corpus():
    return corpus


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that is saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda one, *given, **kw: (figures.append(one), save(one, *given, **kw)))
    return figures


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are one dot: for tests of the text around them."""
    svg = '<svg width="1pt" height="1pt" viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg"></svg>'
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: Path(path).write_text(svg))
