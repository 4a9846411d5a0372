"""Rows of an ablation: one recipe, one thing changed in each."""

import json
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from one_run import toy_recipe

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.evaluate.ablation import rows_of, run_ablation
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_student, prove_split

BASE = """
    seeds: [1, 2]
    results_file: FOLDER/results.csv
    outer_folds: [["A", "B"], ["C", "D"]]
    student: {name: micro_cnn}
    number_of_epochs: 1
    opt_class: !name:torch.optim.AdamW {lr: 0.1}
"""
ROWS = """
    based_on: toy.yaml
    batch_size: 8
    rows:
        - {title: plain, group: first}
        - {title: smoothed + long, against: plain, set: {objective.task.label_smoothing: 0.1, number_of_epochs: 2}}
        - {title: from a file, group: second, against: plain, with: FOLDER/more.yaml, set: {number_of_epochs: 4}}
"""


@pytest.fixture
def config(tmp_path):
    def load(rows=ROWS, *options):
        toy_recipe(tmp_path, BASE)
        (tmp_path / "more.yaml").write_text("number_of_epochs: 3\nbatch_size: 2\n")
        (tmp_path / "ablation.yaml").write_text(textwrap.dedent(rows).replace("FOLDER", str(tmp_path)))
        return load_config([str(tmp_path / "ablation.yaml"), *options])

    return load


@pytest.fixture
def manifest():
    rows = [
        Utterance(f"{s}{e}{i}", "/x", 0, 1600, 0.1, s, e, sha256=f"{s}{e}{i}")
        for s in "ABCD"
        for e in ("anger", "sadness")
        for i in range(3)
    ]
    return Manifest("Toy", ("anger", "sadness"), tuple(rows))


def train(run):
    """Right where the row trains for two epochs, else sure of anger."""
    right = run.config["number_of_epochs"] == 2
    probs = {row.id: np.eye(2)[int(right and row.emotion == "sadness")] * 0.8 + 0.1 for row in run.test}
    torch.manual_seed(run.seed)
    run.save(build_student(run), probs, [{"epoch": 1, "total": 1.0}], seconds=1.0, proof=prove_split(run, None))


def test_rows_lay_files_and_overrides_over_the_recipe(config):
    rows = rows_of(config())
    named = [("plain", "first", None), ("smoothed + long", "first", "plain"), ("from a file", "second", "plain")]
    assert [(row.title, row.group, row.against) for row in rows] == named
    assert [row.config["batch_size"] for row in rows] == [8, 8, 2]
    assert [row.config["number_of_epochs"] for row in rows] == [1, 2, 4]
    folders = [row.config["output_folder"].rsplit("/")[-1] for row in rows]
    assert folders == ["plain", "smoothed-plus-long", "from-a-file"]


def test_an_ablation_runs_compares_and_continues(config, manifest, tmp_path):
    trained = []
    run_ablation(config(ROWS, "--only=[plain]"), manifest, lambda run: (trained.append(run.name), train(run)))
    assert len(trained) == 4  # two seeds of two folds, of one row
    run_ablation(config(), manifest, lambda run: (trained.append(run.name), train(run)))
    assert len(trained) == 12  # the first row is not trained again
    table = pd.read_csv(tmp_path / "out" / "ablation.csv")
    assert list(table["system"]) == ["plain", "smoothed + long", "from a file"]
    results = pd.read_csv(tmp_path / "results.csv")
    assert list(results["recipe"].unique()) == ["ablation"] and list(results["ua_pooled"]) == [50.0, 100.0, 50.0]
    assert "+50.0" in (tmp_path / "out" / "ablation.md").read_text()
    assert (tmp_path / "out" / "ablation.png").is_file() and (tmp_path / "out" / "ablation.svg").is_file()
    assert json.loads((tmp_path / "out/plain/seed1/fold1/outer/record.json").read_text())["proved"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("title: from a file", "title: Plain"), "'(P|p)lain'"),
        (("against: plain", "against: plan"), "'plan'"),
        (("label_smoothing", "label_smothing"), "row 'smoothed . long': .*label_smothing"),
        (("against: plain, set", "againts: plain, set"), "'rows.1.againts'; .*'against'"),
        (("task.label_smoothing: 0.1", "gate: {name: teacher_error, theta: 2}"), "smoothed . long.: objective.gate"),
        (("title: plain", "title: 7"), "rows.0.title"),
        (("title: plain", "title: '!?'"), "rows.0.title"),
        (("title: plain", "title: null"), "rows.0.title"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused_before_anything_runs(config, change, key):
    with pytest.raises(ValueError, match=key):
        rows_of(config(ROWS.replace(*change, 1)))


def test_a_recipe_is_based_on_one_that_stands_alone(config, tmp_path):
    config()
    (tmp_path / "third.yaml").write_text("based_on: ablation.yaml\n")
    with pytest.raises(ValueError, match="ablation.yaml"):
        load_config([str(tmp_path / "third.yaml")])
