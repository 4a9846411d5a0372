import logging

import pytest

from akd_toolkit.data.folds import inner_folds, outer_folds


@pytest.fixture
def four(toy_manifest):
    return toy_manifest(*(f"{speaker}:{emotion}" for speaker in "ABCD" for emotion in ("anger", "neutral")))


def test_inner_validation_covers_the_training_speakers_once(four):
    groups = [["A"], ["B"], ["C"], ["D"]]
    folds = outer_folds(four, groups)
    assert [fold.test_speakers for fold in folds] == [("A",), ("B",), ("C",), ("D",)]
    for fold in folds:
        assert sorted((*fold.train_speakers, *fold.test_speakers)) == list("ABCD")
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
        ([["A", "B", "C"], ["D"]], "fold 0 has no training utterance of neutral"),
        ([["A", "B", "C", "D"], []], "none of them empty"),
    ],
)
def test_wrong_groups_are_refused(toy_manifest, groups, message):
    manifest = toy_manifest("A:neutral", "B:anger", "B:neutral", "C:anger", "D:anger")
    with pytest.raises(ValueError, match=message):
        outer_folds(manifest, groups)


def test_a_class_that_only_the_test_lacks_is_logged(toy_manifest, caplog):
    manifest = toy_manifest("A:anger", "A:neutral", "B:anger", "B:neutral", "C:neutral")
    with caplog.at_level(logging.WARNING):
        assert len(outer_folds(manifest, [["A"], ["B"], ["C"]])) == 3
    assert [record.message for record in caplog.records] == ["fold 2 is tested without anger: no utterance there."]


@pytest.mark.parametrize("train, groups", [("AC", ["AB", "C"]), ("ABD", ["A", "B"]), ("A", ["A", "B"])])
def test_inner_folds_need_two_whole_groups(train, groups):
    with pytest.raises(ValueError, match="groups"):
        inner_folds(train, groups)
