"""Experiments written down by hand: what a recipe would have left, without any training."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.scores_file import make_scores, write_scores

LABELS = ("anger", "sadness")


def corpus(name="Toy", speakers="ABCD", per_class=2, labels=LABELS) -> Manifest:
    rows = [
        Utterance(
            f"{speaker}-{label}{index}",
            f"/{speaker}-{label}{index}.wav",
            0,
            1600,
            0.1,
            speaker,
            label,
            sha256=f"{speaker}{label}{index}",
        )
        for speaker in speakers
        for label in labels
        for index in range(per_class)
    ]
    return Manifest(name, labels, tuple(rows))


@pytest.fixture
def experiment(tmp_path):
    """(name, ...) -> the folder of a finished experiment.

    ``wrong`` lists the utterances that its student gets wrong, for every seed or by seed; two folds by default.
    """

    def write(
        name="akd",
        manifest=None,
        wrong=(),
        seeds=(17,),
        folds=None,
        teachers=None,
        trust=False,
        candidates=None,
        done=lambda seed, fold: True,
        **settings,
    ):
        manifest = manifest or corpus()
        folder = tmp_path / name
        speakers = list(manifest.speakers)
        folds = folds or [speakers[: len(speakers) // 2], speakers[len(speakers) // 2 :]]
        manifest.write(folder / "manifest.csv")
        fixed = {
            **{"corpus": manifest.corpus, "label_order": list(manifest.label_order), "outer_folds": folds},
            **{"student": {"name": "micro_cnn"}, "manifest_hash": manifest.hash, "number_of_epochs": 2},
            **({"teachers": {title: {"name": "logmel_statistics"} for title in teachers}} if teachers else {}),
            **({"candidates": candidates} if candidates else {}),
            **settings,
        }
        with (folder / "settings.yaml").open("w") as stream:
            YAML(typ="safe").dump(fixed, stream)
        (folder / "environment.json").write_text(json.dumps({"commit": "0a1b2c3"}))
        plan = {"recipe": name, "system": "akd", "seeds": list(seeds), "folds": list(range(1, len(folds) + 1))}
        (folder / "plan.json").write_text(json.dumps(plan))
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

    return write


def scored(manifest: Manifest, seed, fold, speakers, wrong) -> pd.DataFrame:
    """Right with 0.8, except for the utterances in ``wrong``, which are taken for the next class."""
    test, classes = manifest.of(speakers), len(manifest.label_order)
    probs = np.full((len(test), classes), 0.2 / (classes - 1))
    for place, row in enumerate(test):
        said = (manifest.label_order.index(row.emotion) + (row.id in wrong)) % classes
        probs[place, said] = 0.8
    truth = [row.emotion for row in test]
    return make_scores(test.ids, [row.speaker for row in test], truth, probs, manifest.label_order, fold, seed)


def write_run(folder, manifest, seed, fold, tested, wrong, trust):
    run = folder / f"seed{seed}/fold{fold}/outer"
    run.mkdir(parents=True)
    heard = [speaker for speaker in manifest.speakers if speaker not in tested]
    about = {"num_parameters": 163_000, "seconds": 60.0, "train_speakers": heard, "test_speakers": list(tested)}
    (run / "student.json").write_text(json.dumps(about))
    proved = ["training and test speakers have nobody in common"]
    (run / "audit.json").write_text(json.dumps({"proved": proved, "not_proved": ["that nobody cheated"]}))
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
def undrawn(monkeypatch):
    """Pictures are one dot: for tests of what stands around them."""
    svg = '<svg width="1pt" height="1pt" viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg"></svg>'

    def save(figure, paths):
        for path in [paths] if isinstance(paths, str | Path) else paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(svg)

    for module in ("akd_toolkit.evaluate.report.plots", "akd_toolkit.evaluate.paper.figures"):
        monkeypatch.setattr(f"{module}.save_figure", save)
