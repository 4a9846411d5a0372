import logging
from collections import Counter
from dataclasses import replace

import pytest

from akd_toolkit.data.folds import inner_folds, labelled_ids, outer_folds
from akd_toolkit.data.manifest import Manifest, Utterance


def test_inner_validation_covers_the_training_speakers_once(toy_manifest):
    four = toy_manifest(*(f"{speaker}:{emotion}" for speaker in "ABCD" for emotion in ("anger", "neutral")))
    groups = [["A"], ["B"], ["C"], ["D"]]
    folds = outer_folds(four, groups)
    assert [fold.test_speakers for fold in folds] == [("A",), ("B",), ("C",), ("D",)]
    for fold in folds:
        assert sorted((*fold.train_speakers, *fold.test_speakers)) == list("ABCD")
        inner = inner_folds(fold.train_speakers, groups)
        assert sorted(s for _, valid in inner for s in valid) == sorted(fold.train_speakers)
        assert all(sorted((*train, *valid)) == sorted(fold.train_speakers) for train, valid in inner)


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


LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def corpus(speakers=24):
    """As RAVDESS: every class eight times of each speaker, the first one half as often."""
    rows = [
        Utterance(f"{s:02d}-{label}-{i}", "-", 0, 1, 1.0, speaker=f"{s:02d}", emotion=label)
        for s in range(speakers)
        for label in LABELS
        for i in range(8 if label != "neutral" else 4)
    ]
    return Manifest("RAVDESS", LABELS, tuple(rows))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_speaker_keeps_the_share_and_the_classes_are_as_even_as_can_be(share):
    manifest = corpus()
    kept = [manifest.by_id[name] for name in labelled_ids(manifest, share, 17)]
    assert len(kept) == round(share * len(manifest))
    assert set(Counter(row.speaker for row in kept).values()) == {round(share * 60)}
    classes = Counter(row.emotion for row in kept)
    assert max(classes.values()) - min(classes.values()) <= max(2, 0.05 * len(kept)), classes
    for speaker in manifest.speakers:
        own = Counter(row.emotion for row in kept if row.speaker == speaker)
        assert max(own.values()) - min(own[label] for label in LABELS) <= 1 or own["neutral"] == 4


def test_the_draw_does_not_depend_on_the_order_of_the_rows_or_on_labels_of_other_speakers():
    manifest = corpus(6)

    def drawn(seed=17, without="-", **changes):
        return {name for name in labelled_ids(replace(manifest, **changes), 0.1, seed) if not name.startswith(without)}

    assert drawn(utterances=manifest.utterances[::-1]) == drawn()
    relabelled = tuple(replace(row, emotion="sad") if row.speaker == "03" else row for row in manifest)
    assert drawn(utterances=relabelled, without="03") == drawn(without="03")
    assert drawn(corpus="another") != drawn() != drawn(seed=18)


def test_all_labels_are_kept_by_1_and_few_utterances_of_each_speaker_are_no_obstacle():
    manifest = corpus(3)
    assert labelled_ids(manifest, 1.0, 17) == set(manifest.ids)
    lonely = tuple(replace(row, speaker=row.id) for row in manifest)
    assert len(labelled_ids(replace(manifest, utterances=lonely), 0.1, 17)) == round(0.1 * len(manifest))
