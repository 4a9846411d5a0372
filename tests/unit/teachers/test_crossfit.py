"""No utterance gets its target from a head trained on its speaker, and no test label is ever used."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from akd_toolkit.metrics import ccc
from akd_toolkit.teachers.attributes import fit_attributes, predict_attributes
from akd_toolkit.teachers.crossfit import crossfit

GROUPS = [["A", "B"], ["C", "D"], ["E", "F"]]
SPEAKERS = [name for name in "ABCDEF" for _ in range(12)]
LABELS = np.arange(72) % 3
ORDER = ("low", "middle", "high")
NAMES = np.array(SPEAKERS)
TEST, OWN = np.isin(NAMES, ["E", "F"]), np.isin(NAMES, ["A", "B"])


@pytest.fixture
def features():
    """Noisy but general knowledge of the class, two views."""
    random = np.random.default_rng(0)
    clean = random.standard_normal((72, 2, 10)).astype(np.float32)
    clean[:, 1, :3] += 2 * np.eye(3)[LABELS]
    return [clean, clean + 0.1 * random.standard_normal(clean.shape).astype(np.float32)]


@pytest.fixture
def truth(features):
    """Two attributes: one that the features know, and noise."""
    return np.stack([3 + features[0][:, 1, 0], np.random.default_rng(1).standard_normal(72)], axis=1)


def fit(features, labels=LABELS, train="ABCD", **options):
    return crossfit(features, labels, SPEAKERS, GROUPS, list(train), ORDER, **options)


def predicted(target, features, truth, **options):
    heads = fit_attributes(target, features, truth, **options)
    return heads, predict_attributes(heads, target.head_of, [torch.tensor(view) for view in features])


def test_every_utterance_gets_its_target_from_a_head_not_trained_on_its_speaker(features):
    targets = fit(features)
    assert [head.trained_on for head in targets.heads] == [("C", "D"), ("A", "B"), ("A", "B", "C", "D")]
    for speaker, index in zip(targets.speakers, targets.head_of):
        assert speaker not in targets.heads[index].trained_on
    for view in range(2):
        for index, head in enumerate(targets.heads):
            rows = np.flatnonzero(np.array(targets.head_of) == index)
            expected = head.logits(torch.tensor(features[view][rows]))
            torch.testing.assert_close(targets.logits[rows, view], expected)
    heads = targets.described_heads()
    assert [head["answers_for"] for head in heads] == [["A", "B"], ["C", "D"], ["E", "F"]]
    assert [head["trained_on"] for head in heads] == [["C", "D"], ["A", "B"], ["A", "B", "C", "D"]]


def test_labels_of_test_speakers_change_nothing(features):
    changed = np.where(TEST, 0, LABELS)
    assert torch.equal(fit(features).logits, fit(features, changed).logits)


def test_labels_of_a_group_reach_its_own_targets_through_the_temperature_alone(features):
    changed = np.where(OWN, (LABELS + 1) % 3, LABELS)
    one, two = (fit(features, labels, l2=[0.01]) for labels in (LABELS, changed))
    torch.testing.assert_close(*(targets.logits[OWN] * targets.head.temperature for targets in (one, two)))


def test_memorised_labels_do_not_leak():
    # Features that identify the utterance, labels that are random: only a head trained on the label could know it.
    labels = np.random.default_rng(1).permutation(LABELS)
    targets = fit([np.eye(72, dtype=np.float32)[:, None]], labels, train="ABCDEF")
    crossfitted = targets.logits[:, 0].argmax(-1).numpy()
    refitted = targets.head.logits(torch.eye(72)[:, None]).argmax(-1).numpy()
    assert (crossfitted == labels).mean() < 0.5 and (refitted == labels).mean() > 0.95


def test_a_planted_head_that_was_trained_on_its_speaker_is_refused(features):
    targets = fit(features)
    with pytest.raises(ValueError, match="utterance 0 .*speaker A"):
        replace(targets, head_of=(2, *targets.head_of[1:]))  # head 2 was trained on A, B, C and D
    with pytest.raises(ValueError, match="speaker E"):
        replace(targets, heads=(*targets.heads[:-1], replace(targets.head, trained_on=("A", "E"))))


def test_penalty_and_temperature_are_the_best_over_cross_fitted_training_speakers(features):
    targets = fit(features, l2=[1.0, 0.01])
    train = np.isin(NAMES, list("ABCD"))

    def nll(found):
        log_probs = torch.log_softmax(found.logits[train].double(), -1).numpy()  # [48, views, classes]
        return -np.mean([log_probs[LABELS[train] == c, :, c].mean() for c in range(3)])

    singles = [nll(fit(features, l2=[strength])) for strength in (1.0, 0.01)]
    assert targets.head.l2 == (1.0, 0.01)[int(np.argmin(singles))]
    for scale in (0.9, 1.1):
        assert nll(targets) < nll(replace(targets, logits=targets.logits * scale))


@pytest.mark.parametrize(
    ("train", "heads"), [("AC", [("C",), ("A",), ("A", "C")]), ("CD", [("D",), ("C",), ("C", "D")])]
)
def test_an_inner_run_uses_its_own_speakers_and_a_single_group_is_split(train, heads, features):
    assert [head.trained_on for head in fit(features, train=train).heads] == heads


def test_speakers_that_cannot_be_cross_fitted_are_refused(features):
    with pytest.raises(ValueError, match="at least two training speakers, got A"):
        fit(features, train="A")
    with pytest.raises(ValueError, match="speakers A are in no speaker group"):
        crossfit(features, LABELS, SPEAKERS, [*GROUPS[1:], ["B"]], list("ABCD"), ORDER)
    with pytest.raises(ValueError, match="C, D have no utterance of high"):
        fit(features, np.where((LABELS == 2) & ~OWN, 0, LABELS))


def test_stored_heads_are_read_again_and_never_for_other_data(features, tmp_path):
    first = fit(features, folder=tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert torch.equal(fit(features, folder=tmp_path).logits, first.logits)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == written
    fit([2 * features[0]], folder=tmp_path)
    fit(features, (LABELS + 1) % 3, folder=tmp_path)
    crossfit(features, LABELS, SPEAKERS, GROUPS, list("ABCD"), ORDER[::-1], folder=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 4 * len(written)
    fit(features, train="CDEF", folder=tmp_path)  # shares the head of C and D
    assert len(list(tmp_path.glob("*.safetensors"))) == 4 * len(written) + 2 * len(written) // 3


def test_attributes_of_unseen_speakers_are_predicted_by_the_heads_of_the_same_speakers(features, truth):
    target = fit(features)
    heads, values = predicted(target, features, truth)
    assert values.shape == (72, 2, 2) and [head.head for head in heads] == list(target.heads)
    assert ccc(truth[TEST, 0], values[TEST, 0, 0]) > 0.8 and abs(ccc(truth[TEST, 1], values[TEST, 0, 1])) < 0.4
    heads, values = predicted(target, [50 * view for view in features], truth)
    for index, head in enumerate(heads):  # within the range of the training labels
        seen, own = truth[np.isin(NAMES, head.head.trained_on)], values[np.array(target.head_of) == index]
        assert (own >= torch.tensor(seen.min(0)).float()).all() and (own <= torch.tensor(seen.max(0)).float()).all()


def test_attributes_of_test_speakers_and_of_the_own_group_do_not_leak(features, truth, monkeypatch):
    target = fit(features)
    changed = truth.copy()
    changed[TEST] = 99.0
    assert torch.equal(predicted(target, features, truth)[1], predicted(target, features, changed)[1])
    monkeypatch.setattr("akd_toolkit.teachers.attributes.STRENGTHS", (0.01,))  # chosen over all training speakers
    changed = truth.copy()
    changed[OWN] = truth[OWN][::-1]
    one, two = (predicted(target, features, values)[1] for values in (truth, changed))
    assert torch.equal(one[OWN], two[OWN]) and not torch.equal(one[~OWN], two[~OWN])


def test_an_unknown_attribute_is_not_used_and_leaves_the_others_alone(features, truth):
    partly = truth.copy()
    partly[::4, 1] = np.nan
    target = fit(features)
    whole, some = (predicted(target, features, values)[1] for values in (truth, partly))
    torch.testing.assert_close(whole[..., 0], some[..., 0])
    assert some.isfinite().all() and not torch.equal(whole[..., 1], some[..., 1])
    truth[np.isin(NAMES, ["C", "D"]), 1] = np.nan
    with pytest.raises(ValueError, match="C, D have no utterance with attribute 2"):
        predicted(target, features, truth)


def test_stored_attribute_heads_are_read_and_not_fitted_again(features, truth, tmp_path, monkeypatch):
    target = fit(features)
    first = predicted(target, features, truth, folder=tmp_path)[1]
    predicted(target, features, truth + 1, folder=tmp_path)
    assert len(list(tmp_path.glob("attributes-*.safetensors"))) == 2
    monkeypatch.setattr("akd_toolkit.teachers.attributes._fit", lambda *args: pytest.fail("fitted"))
    assert torch.equal(predicted(target, features, truth, folder=tmp_path)[1], first)
