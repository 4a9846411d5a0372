"""A share of labels: what is hidden is used by nothing, and the protocol holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from one_run import make_run, toy_recipe, train_and_keep

from akd_toolkit.audit.runs import Runs, check_scores
from akd_toolkit.data.folds import labelled_ids
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts, fold_teachers
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.outputs import UNLABELLED

LABELS = ("anger", "sadness")
YAML = """
    label_share: 0.5
    attributes: [arousal]
    teachers:
        bands: {name: logmel_statistics, num_mels: 8}
        prosody: {name: logmel_statistics, parts: [prosody]}
    objective:
        task: [{name: cross_entropy, balanced: true}, {name: concordance}]
        distill: [{name: integrated_soft_targets}, {name: logit_mse, speech: unlabelled}]
        weighting: {name: adapter}
        gate: {name: teacher_error}
    batch_size: 8
"""


@pytest.fixture
def corpus(tmp_path):
    """Eight tones of each speaker with labels that a teacher can find."""
    import soundfile

    rows, random = [], np.random.default_rng(0)
    for speaker in "ABCD":
        for index in range(8):
            name, emotion = f"{speaker}{index}", LABELS[index % 2]
            tone = 0.2 * np.sin(np.arange(4800) * random.uniform(*((0.1, 0.2) if index % 2 else (0.3, 0.6))))
            soundfile.write(tmp_path / f"{name}.wav", tone + 1e-3 * random.standard_normal(4800), 16000)
            facts = (0, 4800, 0.3, speaker, emotion)
            values = {"arousal": random.uniform(1, 5)}
            rows.append(Utterance(name, str(tmp_path / f"{name}.wav"), *facts, sha256=name, attributes=values))
    return Manifest("Toy", LABELS, tuple(rows))


@pytest.fixture
def make_protocol(make):
    """The toy protocol of the other tests of this folder."""
    return make


@pytest.fixture
def make_one(tmp_path):
    path = toy_recipe(tmp_path, YAML)
    return lambda manifest, *options: make_run(load_config([path, *options]), manifest, "ABC", "D")


def with_other_hidden_labels(manifest, share=0.5, seed=1):
    """The same draw with every hidden label turned and other hidden attributes."""
    kept = labelled_ids(manifest, share, seed)
    rows = [
        row
        if row.id in kept or row.speaker == "D"
        else replace(row, emotion=LABELS[1 - LABELS.index(row.emotion)], attributes={"arousal": 9.0})
        for row in manifest
    ]
    return replace(manifest, utterances=tuple(rows)), kept


def test_training_is_the_same_whatever_the_hidden_labels_are(make_one, corpus, monkeypatch, tmp_path):
    other, kept = with_other_hidden_labels(corpus)
    for module in ("run", "parts", "plan"):  # the draw itself balances classes, so it may differ: keep the first
        monkeypatch.setattr(f"akd_toolkit.experiment.{module}.labelled_ids", lambda *_: kept)
    students = []
    for manifest in (corpus, other):
        run = make_one(manifest, f"--output_folder={tmp_path / manifest.hash}")
        students.append(train_and_keep(run)[0].state_dict())
    assert all(torch.equal(one, two) for one, two in zip(*(student.values() for student in students)))


def test_batches_hold_as_many_labelled_windows_as_with_all_labels_and_the_others_have_teachers_alone(make_one, corpus):
    run = make_one(corpus)
    parts = build_parts(run)
    batches = list(parts.data.train_loader())
    assert [(batch.labels != UNLABELLED).sum().item() for batch in batches] == [8, 8, 8]  # 24 training utterances
    kept = labelled_ids(corpus, 0.5, seed=1)
    for batch in batches:
        known = batch.labels != UNLABELLED
        assert [name in kept for name in batch.ids] == known.tolist() and (~known).sum() == 8
        assert batch.attributes[~known].isnan().all() and batch.teacher.logits.shape[1] == 16
    assert {row.id for row in run.labelled} | {row.id for row in run.hidden} == set(run.train.ids)
    assert any("labels of 12 of 24" in line for line in parts.proof["proved"])
    alone = make_one(corpus, "--teachers=null", "--objective={task: {name: cross_entropy}}", "--attributes=null")
    assert {name for batch in build_parts(alone).data.train_loader() for name in batch.ids} <= kept


def test_heads_use_the_labelled_share_alone(make_one, corpus, monkeypatch):
    other, kept = with_other_hidden_labels(corpus)
    monkeypatch.setattr("akd_toolkit.experiment.parts.labelled_ids", lambda *_: kept)
    outs = [
        fold_teachers(make_one(manifest).config, manifest, ["A", "B", "C"], seed=1).lookup(corpus.ids)
        for manifest in (corpus, other)
    ]
    assert torch.equal(outs[0].logits, outs[1].logits) and torch.equal(outs[0].attributes, outs[1].attributes)


def test_candidates_are_compared_on_labelled_utterances_and_outer_tests_are_whole(make_protocol, trainer, manifest):
    protocol = make_protocol("--label_share=0.5", "--seeds=[1]")
    kept = labelled_ids(manifest, 0.5, seed=1)
    scores = protocol.run(trainer)
    assert set(scores["ID"]) == set(manifest.ids)
    for run in trainer.runs:
        tested = {row.id for row in manifest.of(run.test_speakers)}
        assert set(run.test.ids) == (tested & kept if run.kind == "inner" else tested)
    found = Experiment.read(protocol.folder)
    assert found.scores(found.inner_runs())["ID"].isin(kept).all() and "50 %" in found.recipe
    assert not list(check_scores(Runs.read(found)))
    with pytest.raises(ValueError, match="label_share: 0.5 -> 0.25"):
        make_protocol("--label_share=0.25", "--seeds=[1]")


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_out_of_range_is_refused(make_one, corpus, share):
    with pytest.raises(ValueError, match="label_share"):
        make_one(corpus, f"--label_share={share}")
