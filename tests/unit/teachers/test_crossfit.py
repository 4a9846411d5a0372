"""No utterance is answered by a head that has heard its speaker, and no test label is ever used."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from akd_toolkit.teachers.crossfit import crossfit

GROUPS = [["A", "B"], ["C", "D"], ["E", "F"]]
SPEAKERS = [name for name in "ABCDEF" for _ in range(12)]
LABELS = np.arange(72) % 3
ORDER = ("low", "middle", "high")
NAMES = np.array(SPEAKERS)


@pytest.fixture
def features():
    """Noisy but general knowledge of the class, two views."""
    random = np.random.default_rng(0)
    clean = random.standard_normal((72, 2, 10)).astype(np.float32)
    clean[:, 1, :3] += 2 * np.eye(3)[LABELS]
    return [clean, clean + 0.1 * random.standard_normal(clean.shape).astype(np.float32)]


def fit(features, labels=LABELS, train="ABCD", **options):
    return crossfit(features, labels, SPEAKERS, GROUPS, list(train), ORDER, **options)


def test_every_utterance_is_answered_by_a_head_that_has_not_heard_its_speaker(features):
    targets = fit(features)
    for speaker, index in zip(targets.speakers, targets.head_of):
        assert speaker not in targets.heads[index].heard
    assert [head.heard for head in targets.heads] == [("C", "D"), ("A", "B"), ("A", "B", "C", "D")]


def test_logits_are_those_of_the_named_head_for_every_view(features):
    targets = fit(features)
    for view in range(2):
        for index, head in enumerate(targets.heads):
            rows = np.flatnonzero(np.array(targets.head_of) == index)
            expected = head.logits(torch.tensor(features[view][rows]))
            torch.testing.assert_close(targets.logits[rows, view], expected)


def test_labels_of_test_speakers_change_nothing(features):
    garbled = LABELS.copy()
    garbled[np.isin(NAMES, ["E", "F"])] = 0
    assert torch.equal(fit(features).logits, fit(features, garbled).logits)


def test_labels_of_a_group_do_not_reach_its_own_answers_but_for_two_settings(features):
    garbled = LABELS.copy()
    garbled[np.isin(NAMES, ["A", "B"])] = (LABELS[np.isin(NAMES, ["A", "B"])] + 1) % 3
    one, two = (fit(features, labels, l2=[0.01]) for labels in (LABELS, garbled))
    own = np.isin(NAMES, ["A", "B"])
    direction = [targets.logits[own] * targets.head.temperature for targets in (one, two)]
    torch.testing.assert_close(*direction)  # the temperature is one number over all training utterances


def test_memorised_labels_do_not_leak():
    # Features that name the utterance, labels that are random: only a head that heard the label could know it.
    random = np.random.default_rng(1)
    labels = random.permutation(LABELS)
    targets = fit([np.eye(72, dtype=np.float32)[:, None]], labels, train="ABCDEF")
    crossfitted = targets.logits[:, 0].argmax(-1).numpy()
    refitted = targets.head.logits(torch.eye(72)[:, None]).argmax(-1).numpy()
    assert (crossfitted == labels).mean() < 0.5 and (refitted == labels).mean() > 0.95


def test_planted_head_that_has_heard_its_speaker_is_refused(features):
    targets = fit(features)
    with pytest.raises(ValueError, match="head that speaks for utterance 0 was fitted on its speaker A"):
        replace(targets, head_of=(2, *targets.head_of[1:]))  # head 2 has heard A, B, C and D
    with pytest.raises(ValueError, match="was fitted on its speaker E"):
        replace(targets, heads=(*targets.heads[:-1], replace(targets.head, heard=("A", "E"))))


def test_settings_are_the_best_over_unheard_training_speakers(features):
    targets = fit(features, l2=[1.0, 0.01])
    singles = [fit(features, l2=[strength]) for strength in (1.0, 0.01)]
    train = np.isin(NAMES, list("ABCD"))

    def nll(found):
        log_probs = torch.log_softmax(found.logits[train].double(), -1).numpy()  # [48, views, classes]
        return -np.mean([log_probs[LABELS[train] == c, :, c].mean() for c in range(3)])

    assert targets.head.l2 == (1.0, 0.01)[int(np.argmin([nll(found) for found in singles]))]
    for scale in (0.9, 1.1):
        assert nll(targets) < nll(replace(targets, logits=targets.logits * scale))


def test_inner_run_hears_its_own_speakers_only(features):
    targets = fit(features, train="AC")
    assert targets.head.heard == ("A", "C") and targets.train_speakers == ("A", "C")


def test_single_remaining_group_is_split_by_speaker(features):
    targets = fit(features, train="CD")
    assert [head.heard for head in targets.heads] == [("D",), ("C",), ("C", "D")]


def test_too_few_training_speakers_are_refused(features):
    with pytest.raises(ValueError, match="at least two training speakers, got A;"):
        fit(features, train="A")


def test_training_speaker_outside_all_groups_is_refused(features):
    with pytest.raises(ValueError, match="training speakers A are in no speaker group"):
        crossfit(features, LABELS, SPEAKERS, [*GROUPS[1:], ["B"]], list("ABCD"), ORDER)


def test_class_that_only_one_group_has_is_named(features):
    labels = np.where((LABELS == 2) & ~np.isin(NAMES, ["A", "B"]), 0, LABELS)
    with pytest.raises(ValueError, match="speakers C, D have no utterance of high"):
        fit(features, labels)


def test_stored_heads_are_read_and_not_fitted_again(features, tmp_path):
    first = fit(features, folder=tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert torch.equal(fit(features, folder=tmp_path).logits, first.logits)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == written


def test_heads_of_other_labels_speakers_or_features_are_not_found(features, tmp_path):
    fit(features, folder=tmp_path)
    count = len(list(tmp_path.glob("*.safetensors")))
    fit([2 * features[0]], folder=tmp_path)
    fit(features, (LABELS + 1) % 3, folder=tmp_path)
    crossfit(features, LABELS, SPEAKERS, GROUPS, list("ABCD"), ORDER[::-1], folder=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 4 * count
    fit(features, train="CDEF", folder=tmp_path)  # shares the head of C and D
    assert len(list(tmp_path.glob("*.safetensors"))) == 4 * count + 2 * count // 3


def test_heads_are_described_by_whom_they_were_fitted_on_and_for_whom_they_answer(features):
    heads = fit(features).described_heads()
    assert [head["trained_on"] for head in heads] == [["C", "D"], ["A", "B"], ["A", "B", "C", "D"]]
    assert [head["answers_for"] for head in heads] == [["A", "B"], ["C", "D"], ["E", "F"]]


def test_embeddings_of_all_utterances_lie_in_one_space(features):
    targets = fit(features)
    standard = (features[0] - targets.head.mean.numpy()) / targets.head.deviation.numpy()
    expected = np.einsum("l,nld->nd", targets.head.layer_weights.numpy(), standard.clip(-5, 5))
    np.testing.assert_allclose(targets.embed(features[0]).numpy(), expected, atol=1e-5)
