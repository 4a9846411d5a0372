"""Teachers' dimensional labels: closed form, cross-fitted, within the range that was heard."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.metrics import ccc
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.teachers import TeacherBank, answers_on
from akd_toolkit.teachers.attributes import answers, fit_attributes
from akd_toolkit.teachers.crossfit import crossfit

SPEAKERS = [name for name in "ABCDEF" for _ in range(12)]
NAMES = np.array(SPEAKERS)
GROUPS = [["A", "B"], ["C", "D"], ["E", "F"]]
LABELS = np.arange(72) % 3


@pytest.fixture
def features():
    """Two views of statistics in which a number is twice a hidden value; another is noise."""
    random = np.random.default_rng(0)
    clean = random.standard_normal((72, 2, 10)).astype(np.float32)
    clean[:, 1, :3] += 2 * np.eye(3)[LABELS]
    return [clean, clean + 0.1 * random.standard_normal(clean.shape).astype(np.float32)]


@pytest.fixture
def truth(features):
    random = np.random.default_rng(1)
    return np.stack([3 + features[0][:, 1, 0], random.standard_normal(72)], axis=1)


def fit(features, train="ABCD"):
    return crossfit(features, LABELS, SPEAKERS, GROUPS, list(train), ("low", "middle", "high"))


def predicted(target, features, truth, **options):
    heads = fit_attributes(target, features, truth, **options)
    return heads, answers(heads, target.head_of, [torch.tensor(view) for view in features])


def test_what_a_teacher_knows_is_told_of_speakers_that_no_head_has_heard(features, truth):
    target = fit(features)
    _, values = predicted(target, features, truth)
    test = np.isin(NAMES, ["E", "F"])
    assert values.shape == (72, 2, 2)
    assert ccc(truth[test, 0], values[test, 0, 0]) > 0.8 and abs(ccc(truth[test, 1], values[test, 0, 1])) < 0.4


def test_heads_stand_beside_the_emotion_heads_and_hear_whom_they_hear(features, truth):
    target = fit(features)
    heads, _ = predicted(target, features, truth)
    assert [head.head for head in heads] == list(target.heads)
    for name, index in zip(target.speakers, target.head_of):
        assert name not in heads[index].head.heard


def test_attributes_of_test_speakers_change_nothing(features, truth):
    garbled = truth.copy()
    garbled[np.isin(NAMES, ["E", "F"])] = 99.0
    target = fit(features)
    assert torch.equal(predicted(target, features, truth)[1], predicted(target, features, garbled)[1])


def test_attributes_of_a_group_do_not_reach_its_own_answers(features, truth, monkeypatch):
    monkeypatch.setattr("akd_toolkit.teachers.attributes.STRENGTHS", (0.01,))  # chosen over all training speakers
    own, garbled = np.isin(NAMES, ["A", "B"]), truth.copy()
    garbled[own] = truth[own][::-1]
    target = fit(features)
    one, two = (predicted(target, features, values)[1] for values in (truth, garbled))
    assert torch.equal(one[own], two[own]) and not torch.equal(one[~own], two[~own])


def test_memorised_attributes_do_not_leak():
    random = np.random.default_rng(2)
    truth, features = random.standard_normal((72, 1)), [np.eye(72, dtype=np.float32)[:, None]]
    target = fit(features, "ABCDEF")
    heads, values = predicted(target, features, truth)
    assert abs(ccc(truth[:, 0], values[:, 0, 0])) < 0.3
    fitted = heads[-1].predict(torch.eye(72)[:, None])[:, 0].numpy()
    assert np.corrcoef(fitted, truth[:, 0])[0, 1] > 0.8


def test_predictions_stay_within_what_was_heard(features, truth):
    target = fit(features)
    heads, values = predicted(target, [50 * view for view in features], truth)
    for index, head in enumerate(heads):
        heard = truth[np.isin(NAMES, head.head.heard)]
        told = values[np.array(target.head_of) == index]
        assert (told >= torch.tensor(heard.min(0)).float()).all() and (told <= torch.tensor(heard.max(0)).float()).all()


def test_an_unknown_attribute_has_no_part_and_leaves_the_others_alone(features, truth):
    partly = truth.copy()
    partly[::4, 1] = np.nan
    target = fit(features)
    _, whole = predicted(target, features, truth)
    _, some = predicted(target, features, partly)
    torch.testing.assert_close(whole[..., 0], some[..., 0])
    assert some.isfinite().all() and not torch.equal(whole[..., 1], some[..., 1])


def test_an_attribute_that_a_head_would_have_nothing_of_is_refused(features, truth):
    truth[np.isin(NAMES, ["C", "D"]), 1] = np.nan
    with pytest.raises(ValueError, match="speakers C, D have no utterance with attribute 2 of those listed"):
        predicted(fit(features), features, truth)


def test_stored_heads_are_read_and_not_fitted_again(features, truth, tmp_path, monkeypatch):
    target = fit(features)
    _, first = predicted(target, features, truth, folder=tmp_path)
    other = truth.copy()
    other[0] += 1
    predicted(target, features, other, folder=tmp_path)
    assert len(list(tmp_path.glob("attributes-*.safetensors"))) == 2
    monkeypatch.setattr("akd_toolkit.teachers.attributes._fit", lambda *args: pytest.fail("fitted"))
    assert torch.equal(predicted(target, features, truth, folder=tmp_path)[1], first)


@pytest.fixture
def bank(tmp_path, manifest, sounds):
    rows = [
        replace(row, attributes={"brightness": 2.0 * (row.emotion == "high"), "number": float(row.id[-1])})
        for row in manifest
    ]
    bands = {"bands": {"name": "logmel_statistics", "num_mels": 8}}
    labelled = Manifest("tones", manifest.label_order, tuple(rows))
    return TeacherBank(bands, InMemoryAudio(labelled, sounds), tmp_path, num_views=2, progress=False)


def test_a_fold_answers_with_attributes_where_they_are_asked_for(bank, tmp_path):
    groups = [["A"], ["B"], ["C"]]
    fold = bank.fold(["A", "B", "C"], groups, attributes=["brightness", "number"])
    ids, views = ["D-low-1", "D-high-0", "A-high-2"], [0, 1, 1]
    told = fold.lookup(ids, views).attributes
    assert told.shape == (1, 3, 2)
    torch.testing.assert_close(told[0, :, 0], torch.tensor([0.0, 2.0, 2.0]), atol=0.5, rtol=0)
    assert torch.equal(fold.lookup(ids).logits, bank.fold(["A", "B", "C"], groups).lookup(ids).logits)
    assert bank.fold(["A", "B", "C"], groups).lookup(ids).attributes is None
    heads = next(iter(fold)).described_heads()
    assert [head["trained_on"] for head in heads] == [list(head.head.heard) for head in fold.predictors[0]]


def test_other_peoples_speech_is_answered_with_attributes_too(bank, tmp_path, sounds):
    fold = bank.fold(["A", "B"], [["A"], ["B"]], attributes=["brightness"])
    rows = tuple(replace(row, speaker="unlabelled", emotion="unlabelled", attributes={}) for row in bank.manifest)
    others = Manifest("others", ("unlabelled",), rows)
    specs = {"bands": {"name": "logmel_statistics", "num_mels": 8}}
    answered = answers_on(TeacherBank(specs, InMemoryAudio(others, sounds), tmp_path, progress=False), fold, others)
    told = answered.lookup(others.ids).attributes[0, :, 0]
    loud = torch.tensor(["high" in name for name in others.ids])
    assert told.isfinite().all() and told[loud].mean() > told[~loud].mean() + 1
    joined = TeacherOutput.stacked([fold.lookup(["A-low-0"]), answered.lookup(["B-low-0"])])
    assert joined.attributes.shape == (1, 2, 1)
