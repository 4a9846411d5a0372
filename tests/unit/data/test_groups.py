from itertools import product

import numpy as np
import pytest

from akd_toolkit.data.folds import outer_folds
from akd_toolkit.data.importers.groups import propose_groups
from akd_toolkit.data.manifest import Manifest, Utterance


def spoken(cells: dict[tuple[str, str], int], **extra):
    """Utterances of each (speaker, emotion), as many as the number says."""
    return [
        Utterance(f"{speaker}-{emotion}-{n}", f"/{speaker}{emotion}{n}.wav", 0, 1, 1.0, speaker, emotion, **extra)
        for (speaker, emotion), count in cells.items()
        for n in range(count)
    ]


def full(speakers, emotions=("fear", "joy"), count=2):
    return {cell: count for cell in product(speakers, emotions)}


@pytest.mark.parametrize("num_speakers, sizes", [(3, [1, 1, 1]), (5, [1] * 5), (10, [2] * 5), (24, [4, 5, 5, 5, 5])])
def test_there_are_five_groups_or_as_many_as_speakers(num_speakers, sizes):
    speakers = [f"{index:02d}" for index in range(num_speakers)]
    rows = spoken(full(speakers))
    groups = propose_groups(rows)
    assert sorted(len(group) for group in groups) == sizes
    assert sorted(name for group in groups for name in group) == speakers
    folds = outer_folds(Manifest("toy", ("fear", "joy"), rows), groups)  # refuses what is no partition
    assert len(folds) == len(sizes) and propose_groups(rows) == groups


def test_classes_are_shared_evenly():
    random = np.random.default_rng(3)
    speakers = [f"{index:02d}" for index in range(15)]
    cells = {(name, emotion): int(random.integers(1, 9)) for name in speakers for emotion in ("fear", "joy", "sad")}
    rows = spoken(cells)
    for group in propose_groups(rows):
        share = [sum(row.emotion == e for row in rows if row.speaker in group) for e in ("fear", "joy", "sad")]
        whole = [sum(row.emotion == e for row in rows) / 5 for e in ("fear", "joy", "sad")]
        assert np.abs(np.array(share) - whole).max() < 10


@pytest.mark.parametrize("speakers", ["A", "AB"])
def test_fewer_than_three_speakers_are_refused(speakers):
    with pytest.raises(ValueError, match=rf"\({', '.join(speakers)}\) form {len(speakers)} groups"):
        propose_groups(spoken(full(speakers)))


@pytest.mark.parametrize("who", ["A", "AB"])
def test_a_class_that_a_training_side_would_lack_is_named(who):
    cells = full("ABCDE") | {(speaker, "awe"): 1 for speaker in who}
    with pytest.raises(ValueError, match=r"class 'awe' has \d utterances?, by A.*--labels 'awe=-'"):
        propose_groups(spoken(cells))


@pytest.mark.parametrize("count", [1, 6])
def test_three_speakers_of_a_class_are_put_into_three_groups(count):
    cells = full([f"{index:02d}" for index in range(12)]) | {(name, "awe"): count for name in ("00", "01", "02")}
    groups = propose_groups(spoken(cells))
    homes = {name: index for index, group in enumerate(groups) for name in group}
    assert len({homes[name] for name in ("00", "01", "02")}) == 3


def test_speakers_with_an_identical_recording_stay_together():
    rows = spoken(full("ABCDEF"))
    copies = [Utterance(f"copy-{s}", f"/copy-{s}.wav", 0, 1, 1.0, s, "joy", sha256="same") for s in "AF"]
    groups = propose_groups([*rows, *copies])
    assert [set("AF") <= set(group) for group in groups].count(True) == 1


def test_speakers_who_talk_at_the_same_time_stay_together():
    rows = spoken(full("ABCDEF"))
    spans = {"A": (0, 900), "B": (800, 1000), "C": (1000, 1200)}
    talk = [Utterance(f"talk-{s}", "/talk.wav", *span, 1.0, s, "joy") for s, span in spans.items()]
    home = {name: index for index, group in enumerate(propose_groups([*rows, *talk])) for name in group}
    assert home["A"] == home["B"] != home["C"]


def test_two_spellings_of_a_name_are_tested_together():
    groups = propose_groups(spoken(full(["ANNA", "anna", "Ben", "Cleo", "Dora", "Emil"])))
    assert any({"ANNA", "anna"} <= set(group) for group in groups)
