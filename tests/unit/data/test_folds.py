import logging

import pytest

from akd_toolkit.data.folds import inner_folds, outer_folds


@pytest.fixture
def four(toy_manifest):
    return toy_manifest(*(f"{speaker}:{emotion}" for speaker in "ABCD" for emotion in ("anger", "neutral")))


def test_each_group_is_the_test_once_and_the_rest_trains(four):
    folds = outer_folds(four, [["A", "B"], ["C"], ["D"]])
    assert [fold.test_speakers for fold in folds] == [("A", "B"), ("C",), ("D",)]
    assert [fold.train_speakers for fold in folds] == [("C", "D"), ("A", "B", "D"), ("A", "B", "C")]
    for fold in folds:
        assert not set(fold.train_speakers) & set(fold.test_speakers)


def test_inner_folds_are_the_outer_groups_that_remain():
    groups = [["A", "B"], ["C"], ["D"]]
    assert inner_folds(("A", "B", "D"), groups) == [(("D",), ("A", "B")), (("A", "B"), ("D",))]


def test_inner_validation_covers_the_training_speakers_once(four):
    groups = [["A"], ["B"], ["C"], ["D"]]
    for fold in outer_folds(four, groups):
        inner = inner_folds(fold.train_speakers, groups)
        assert sorted(s for _, valid in inner for s in valid) == sorted(fold.train_speakers)
        for train, valid in inner:
            assert not set(train) & set(valid)
            assert not (set(train) | set(valid)) & set(fold.test_speakers)


def test_a_speaker_missing_from_every_fold_is_named(four):
    with pytest.raises(ValueError, match="speaker D of toy is missing from every fold; add to speaker_groups"):
        outer_folds(four, [["A", "B"], ["C"]])


def test_a_speaker_in_two_folds_is_named(four):
    with pytest.raises(ValueError, match="speaker B is in speaker_groups 0 and 1; each belongs to exactly one"):
        outer_folds(four, [["A", "B"], ["B", "C"], ["D"]])


def test_an_unknown_speaker_is_named(four):
    with pytest.raises(ValueError, match=r"speaker_groups name E, unknown to toy, which has A, B, C, D\."):
        outer_folds(four, [["A", "B"], ["C", "D", "E"]])


def test_numbers_from_yaml_are_explained(toy_manifest):
    manifest = toy_manifest("03:anger", "03:neutral", "08:anger", "08:neutral")
    with pytest.raises(ValueError, match="missing from every fold"):
        outer_folds(manifest, [[3], [8]])


@pytest.mark.parametrize("groups", [[], [["A", "B", "C", "D"]]])
def test_one_group_is_no_fold(four, groups):
    with pytest.raises(ValueError, match="must hold at least two groups"):
        outer_folds(four, groups)


def test_an_empty_group_is_refused(four):
    with pytest.raises(ValueError, match="must not hold an empty group"):
        outer_folds(four, [["A", "B", "C", "D"], []])


def test_a_fold_whose_training_lacks_a_class_is_refused(toy_manifest):
    manifest = toy_manifest("A:anger", "A:neutral", "B:neutral")
    with pytest.raises(ValueError, match=r"fold 0 has no training utterance of anger \(speakers B\); regroup"):
        outer_folds(manifest, [["A"], ["B"]])


def test_a_class_that_only_the_test_lacks_is_logged(toy_manifest, caplog):
    manifest = toy_manifest("A:anger", "A:neutral", "B:anger", "B:neutral", "C:neutral")
    with caplog.at_level(logging.WARNING):
        assert len(outer_folds(manifest, [["A"], ["B"], ["C"]])) == 3
    assert [record.message for record in caplog.records] == ["fold 2 is tested without anger: no utterance there."]


def test_inner_folds_refuse_a_group_torn_apart():
    with pytest.raises(ValueError, match=r"speaker group \['A', 'B'\] is only partly in the training speakers"):
        inner_folds(["A", "C"], [["A", "B"], ["C"]])


def test_inner_folds_refuse_a_speaker_without_a_group():
    with pytest.raises(ValueError, match="training speakers D are in no speaker group"):
        inner_folds(["A", "B", "D"], [["A"], ["B"]])


def test_inner_folds_need_two_groups():
    with pytest.raises(ValueError, match="need at least two groups of training speakers"):
        inner_folds(["A"], [["A"], ["B"]])
