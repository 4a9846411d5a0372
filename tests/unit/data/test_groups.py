from itertools import product

import numpy as np
import pytest

from akd_toolkit.data.folds import outer_folds
from akd_toolkit.data.importers.groups import propose_groups
from akd_toolkit.data.manifest import Manifest, Utterance


def spoken(cells: dict[tuple[str, str], int]):
    """Utterances of each (speaker, emotion), as many as the number says."""
    return [
        Utterance(f"{speaker}-{emotion}-{n}", f"/{speaker}{emotion}{n}.wav", 0, 1, 1.0, speaker, emotion)
        for (speaker, emotion), count in cells.items()
        for n in range(count)
    ]


def full(speakers):
    return {cell: 2 for cell in product(speakers, ("fear", "joy"))}


def homes(rows):
    return {name: index for index, group in enumerate(propose_groups(rows)) for name in group}


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
    random, emotions = np.random.default_rng(3), ("fear", "joy", "sad")
    cells = {cell: int(random.integers(1, 9)) for cell in product([f"{index:02d}" for index in range(15)], emotions)}
    rows = spoken(cells)
    for group in propose_groups(rows):
        share = [sum(row.emotion == e for row in rows if row.speaker in group) for e in emotions]
        whole = [sum(row.emotion == e for row in rows) / 5 for e in emotions]
        assert np.abs(np.array(share) - whole).max() < 10


@pytest.mark.parametrize(
    "cells, token",
    [
        (full("A"), r"\(A\) form 1 groups"),
        (full("AB"), r"\(A, B\) form 2 groups"),
        (full("ABCDE") | {("A", "awe"): 1}, r"class 'awe' has 1 utterance, by A: .*'awe=-'"),
        (full("ABCDE") | {("A", "awe"): 1, ("B", "awe"): 1}, r"class 'awe' has 2 utterances, by A, B: .*'awe=-'"),
    ],
)
def test_too_few_speakers_and_a_class_that_a_training_side_would_lack_are_named(cells, token):
    with pytest.raises(ValueError, match=token):
        propose_groups(spoken(cells))


@pytest.mark.parametrize("count", [1, 6])
def test_three_speakers_of_a_class_are_put_into_three_groups(count):
    cells = full([f"{index:02d}" for index in range(12)]) | {(name, "awe"): count for name in ("00", "01", "02")}
    home = homes(spoken(cells))
    assert len({home[name] for name in ("00", "01", "02")}) == 3


def test_speakers_with_one_sound_at_one_time_or_in_two_spellings_stay_together():
    rows = spoken(full("ABCDEF"))
    copies = [Utterance(f"copy-{s}", f"/copy-{s}.wav", 0, 1, 1.0, s, "joy", sha256="same") for s in "AF"]
    home = homes([*rows, *copies])
    assert home["A"] == home["F"]
    spans = {"A": (0, 900), "B": (800, 1000), "C": (1000, 1200)}
    home = homes([*rows, *(Utterance(f"talk-{s}", "/talk.wav", *span, 1.0, s, "joy") for s, span in spans.items())])
    assert home["A"] == home["B"] != home["C"]
    home = homes(spoken(full(["ANNA", "anna", "Ben", "Cleo", "Dora", "Emil"])))
    assert home["ANNA"] == home["anna"]
