"""Which trainings exist, which are done, what is chosen, and what is refused."""

import importlib
import textwrap

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation, differences
from akd_toolkit.registry import LOSSES

LABELS = ("anger", "sadness")
YAML = """
    seeds: [1, 2]
    corpus: Toy
    output_folder: {folder}/out
    store_folder: {folder}/store
    label_order: [anger, sadness]
    outer_folds: [["A", "B"], ["C"], ["D"]]
    candidates: [{{batch_size: 1}}, {{batch_size: 2}}, {{batch_size: 3}}]
    student: {{name: micro_cnn}}
    objective: {{task: {{name: cross_entropy}}}}
    number_of_epochs: 1
    batch_size: 4
    window_s: 1.0
    test_overlap_s: 0.0
    opt_class: !name:torch.optim.AdamW {{lr: 0.1}}
"""


@pytest.fixture
def manifest():
    rows = [
        Utterance(f"{s}{e}{i}", "/x", 0, 1600, 0.1, s, e, sha256=f"{s}{e}{i}")
        for s in "ABCD"
        for e in LABELS
        for i in range(3)
    ]
    return Manifest("Toy", LABELS, tuple(rows))


@pytest.fixture
def make(tmp_path, manifest):
    path = tmp_path / "toy.yaml"
    path.write_text(textwrap.dedent(YAML.format(folder=tmp_path)))
    return lambda *options: NestedCrossValidation(load_config([str(path), *options]), manifest)


class Trainer:
    """Stands for a training: candidate 2 is right everywhere, the others are wrong on sadness."""

    def __init__(self):
        self.runs = []

    def __call__(self, run):
        self.runs.append(run)
        good = run.config["batch_size"] == 2
        says = {row.id: np.eye(2)[LABELS.index(row.emotion) if good else 0] for row in run.test}
        run.keep(torch.nn.Linear(1, 1), says, [{"epoch": 1, "total": 0.0}], seconds=1.0, proof=prove_split(run, None))


def test_every_speaker_is_scored_once_by_a_student_that_never_heard_it(make, manifest):
    trainer = Trainer()
    scores = make().run(trainer)
    assert len(scores) == 2 * len(manifest)  # two seeds
    assert scores.groupby("seed")["ID"].nunique().tolist() == [24, 24]
    assert all(not set(run.train_speakers) & set(run.test_speakers) for run in trainer.runs)


def test_inner_runs_never_see_the_outer_test_speakers(make):
    protocol = make()
    inner = protocol.inner_runs()
    assert len(inner) == 2 * 3 * 2 * 3  # seeds, outer folds, inner splits, candidates
    for run in inner:
        outer_test = next(fold.test_speakers for fold in protocol.folds if fold.index + 1 == run.fold)
        assert not set(outer_test) & {*run.train_speakers, *run.test_speakers}
        assert {*outer_test, *run.train_speakers, *run.test_speakers} == set("ABCD")


def test_the_candidate_that_wins_on_inner_folds_is_trained_again(make):
    trainer = Trainer()
    protocol = make("--folds=1", "--seeds=[1]")
    protocol.run(trainer)
    outer = [run for run in trainer.runs if run.name.endswith("outer")]
    assert [run.overrides for run in outer] == [{"batch_size": 2}]
    assert (protocol.folder / "seed1/fold1/choice.json").is_file()


def test_the_first_of_equal_candidates_wins(make):
    trainer = Trainer()
    make("--folds=1", "--seeds=[1]", "--candidates=[{batch_size: 1}, {batch_size: 3}]").run(trainer)
    assert trainer.runs[-1].overrides == {"batch_size": 1}


def test_one_candidate_needs_no_inner_run(make):
    protocol = make("--candidates=[{}]")
    assert protocol.inner_runs() == [] and len(protocol.outer_runs()) == 6


def test_what_is_done_is_not_done_again(make):
    make("--folds=1").run(Trainer())
    trainer = Trainer()
    scores = make("--folds=null").run(trainer)
    assert {run.fold for run in trainer.runs} == {2, 3} and set(scores["fold"]) == {1, 2, 3}


def test_what_another_process_has_done_meanwhile_is_not_done_again(make):
    trainer = Trainer()

    def train(run):
        trainer(run)
        if len(trainer.runs) == 1:  # a second process with other folds, at the same time
            make("--folds=2", "--seeds=[1]", "--candidates=[{batch_size: 2}]").run(trainer)

    make("--folds=3", "--seeds=[1]", "--candidates=[{batch_size: 2}]").run(train)
    assert [run.fold for run in trainer.runs] == [1, 2, 3]


def test_workers_give_what_one_process_gives(make):
    alone = make("--candidates=[{batch_size: 2}]", "--output_folder=" + str(make().folder / "alone")).run(Trainer())
    side_by_side = make(
        "--candidates=[{batch_size: 2}]", "--jobs=2", "--output_folder=" + str(make().folder / "both")
    ).run(Trainer())
    assert alone.equals(side_by_side)


@pytest.mark.parametrize("text", ["", "corpus: [", "views: 1"])
def test_damaged_settings_of_a_begun_folder_are_refused(make, text):
    path = make().folder / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="settings.yaml"):
        make()


def test_finished_trainings_without_their_settings_are_not_taken_over(make):
    protocol = make("--folds=1", "--seeds=[1]", "--candidates=[{}]")
    protocol.run(Trainer())
    (protocol.folder / "settings.yaml").unlink()
    with pytest.raises(ValueError, match="settings.yaml.*--output_folder"):
        make("--folds=1", "--seeds=[1]", "--candidates=[{}]")


def test_changed_settings_are_refused_with_their_difference(make):
    make()
    with pytest.raises(ValueError, match=r"other settings: batch_size: 4 -> 8\. Give the old settings"):
        make("--batch_size=8")


def test_where_and_how_much_to_run_may_change(make):
    make()
    make("--folds=1", "--seeds=[1, 2, 3]", "--jobs=2", "--store_folder=elsewhere")


def test_another_corpus_in_the_same_folder_is_refused(make, manifest):
    protocol = make()
    fewer = Manifest("Toy", LABELS, manifest.utterances[:-1])
    with pytest.raises(ValueError, match="manifest_hash"):
        NestedCrossValidation(protocol.config, fewer)


def test_a_speaker_of_no_fold_is_refused(make):
    with pytest.raises(ValueError, match="speaker D of Toy is missing from every fold"):
        make("--outer_folds=[[A, B], [C]]")


def test_a_speaker_of_two_folds_is_refused(make):
    with pytest.raises(ValueError, match="speaker C is in speaker_groups 1 and 2"):
        make("--outer_folds=[[A, B], [C], [C, D]]")


def test_a_fold_whose_training_lacks_a_class_is_refused(make, manifest):
    rows = tuple(row for row in manifest if row.emotion == "anger" or row.speaker == "D")
    protocol = make()
    with pytest.raises(ValueError, match="fold 2 has no training utterance of sadness"):
        NestedCrossValidation(protocol.config, Manifest("Toy", LABELS, rows))


def test_differences_name_what_came_and_went():
    before, after = {"a": 1, "b": [1, 2]}, {"b": [1, 3], "c": {"d": 4}}
    assert differences(before, after) == ["a: 1 -> (absent)", "b: [1, 2] -> [1, 3]", "c: (absent) -> {'d': 4}"]


class AsksForPlugin(Trainer):
    """A training that fails where the recipe's own loss is not registered."""

    def __call__(self, run):
        LOSSES.get("loss_of_the_recipe")
        super().__call__(run)


def test_workers_know_the_plugins_of_the_recipe(make, tmp_path, monkeypatch):
    code = """
        from akd_toolkit.distill.losses import Loss
        from akd_toolkit.registry import LOSSES

        @LOSSES.register("loss_of_the_recipe")
        class LossOfTheRecipe(Loss):
            "Of no use."
    """
    (tmp_path / "plugin_of_the_recipe.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    get_reusable_executor().shutdown(wait=True)  # workers of earlier tests were started without this path
    importlib.import_module("plugin_of_the_recipe")
    try:
        scores = make("--candidates=[{batch_size: 2}]", "--jobs=2", "--seeds=[1]").run(AsksForPlugin())
        assert len(scores) == 24
    finally:
        LOSSES._plugins.pop("loss_of_the_recipe")
        get_reusable_executor().shutdown(wait=True)
