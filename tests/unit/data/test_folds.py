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


@pytest.mark.parametrize(
    "groups, message",
    [
        ([["A", "B"], ["C"]], "speaker D is in no group"),
        ([["A", "B"], ["B", "C"], ["D"]], "speaker B is in two groups"),
        ([["A", "B"], ["C", "D", "E"]], "speaker E is not one of A, B, C, D"),
        ([[3], ["A", "B", "C", "D"]], "speaker 3 is not one of .*YAML"),
        ([["A", "B", "C", "D"]], "two groups or more"),
        ([["A", "B", "C", "D"], []], "none of them empty"),
    ],
)
def test_wrong_groups_are_refused(four, groups, message):
    with pytest.raises(ValueError, match=message):
        outer_folds(four, groups)


def test_a_fold_whose_training_lacks_a_class_is_refused(toy_manifest):
    manifest = toy_manifest("A:anger", "A:neutral", "B:neutral")
    with pytest.raises(ValueError, match=r"fold 0 has no training utterance of anger \(speakers B\); regroup"):
        outer_folds(manifest, [["A"], ["B"]])


def test_a_class_that_only_the_test_lacks_is_logged(toy_manifest, caplog):
    manifest = toy_manifest("A:anger", "A:neutral", "B:anger", "B:neutral", "C:neutral")
    with caplog.at_level(logging.WARNING):
        assert len(outer_folds(manifest, [["A"], ["B"], ["C"]])) == 3
    assert [record.message for record in caplog.records] == ["fold 2 is tested without anger: no utterance there."]


@pytest.mark.parametrize("train, groups", [("AC", ["AB", "C"]), ("ABD", ["A", "B"]), ("A", ["A", "B"])])
def test_inner_folds_need_two_whole_groups(train, groups):
    with pytest.raises(ValueError, match="groups"):
        inner_folds(train, groups)
