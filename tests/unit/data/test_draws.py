"""Which windows make a batch."""

import math
from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from akd_toolkit.data.dataset import Draw, Speech
from akd_toolkit.data.draws import TrainSampler, balanced_order, epoch_order, sampling_of, scoring_draws, whole_draws
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.unlabelled import equal_chances


@pytest.fixture
def speech():
    durations = [0.5, 1.0, 2.5, 0.2, 1.7]
    rows = [Utterance(f"u{i}", "/x", 0, round(16000 * d), d, "s", "sad") for i, d in enumerate(durations)]
    return Speech(Manifest("toy", ("sad",), tuple(rows)), None, views=3)


def drawn(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_draws_every_utterance_once_and_any_view(speech):
    sampler = TrainSampler([speech], 1.0, batch_size=2, seed=1)
    epochs = [list(chain(*drawn(sampler, epoch))) for epoch in range(6)]
    assert len(sampler) == 3 and all(sorted(draw.row for draw in draws) == [0, 1, 2, 3, 4] for draws in epochs)
    assert {draw.view for draw in chain(*epochs)} == {0, 1, 2, 3}
    assert all(0 <= draw.place < 1 and draw.size == 16000 for draw in chain(*epochs))


def test_draws_depend_on_seed_and_epoch_only_and_unlabelled_ones_come_last(speech):
    one, same, other = (TrainSampler([speech], 1.0, 2, seed=seed) for seed in (1, 1, 2))
    list(one)  # earlier draws do not matter
    assert drawn(one, 3) == drawn(same, 3) and drawn(one, 4) != drawn(same, 3) != drawn(other, 3)
    assert [draws[0].key for draws in drawn(one, 3)] == [(1, 3, 1), (1, 3, 2), (1, 3, 3)]
    (draws,) = TrainSampler([speech, speech], 1.0, 5, seed=1, unlabelled_ratio=0.6)
    assert [draw.source for draw in draws] == [0] * 5 + [1] * 3


def test_processes_share_each_batch_with_keys_of_their_own(speech):
    options = {"sources": [speech, speech], "window_s": 1.0, "batch_size": 4, "seed": 1}
    alone = list(TrainSampler(**options))
    shares = [list(TrainSampler(**options, rank=rank, num_processes=2)) for rank in (0, 1)]
    assert [len(batches) for batches in shares] == [len(alone)] * 2
    for batch, *parts in zip(alone, *shares):
        assert sorted(draw[:5] for draw in chain(*parts)) == sorted(draw[:5] for draw in batch)
        assert abs(len(parts[0]) - len(parts[1])) <= 1 and {draw.source for draw in parts[1]} == {0, 1}
        assert len({draw.key for draw in chain(*parts)}) == 2
    with pytest.raises(ValueError, match="batch_size 1 "):
        TrainSampler([speech], 1.0, 1, seed=1, num_processes=2)


def test_whole_draws_are_every_utterance_in_every_view(speech):
    batches = whole_draws([speech, speech], batch_size=2)
    assert max(map(len, batches)) == 2 and batches[0] == [Draw(0, 3), Draw(0, 0)]  # the shortest two
    assert sorted((draw.source, draw.row, draw.view) for draw in chain(*batches)) == [
        (source, row, view) for source in (0, 1) for row in range(5) for view in range(4)
    ]


@pytest.mark.parametrize("sizes", [(50, 7, 3), (1, 1, 90), (1, 1, 2), (10,)])
def test_balanced_groups_are_drawn_equally_often_and_no_row_twice_before_all_of_its_group(sizes):
    groups = np.repeat(np.arange(len(sizes)) * 5, sizes)
    order = balanced_order(groups, np.random.default_rng(0))
    assert len(order) == len(groups)
    for group in np.unique(groups):
        rows = order[groups[order] == group]
        assert abs(len(rows) - len(groups) / len(sizes)) < 1
        times = np.bincount(rows, minlength=len(groups))[groups == group]
        assert times.max() - times.min() <= 1


def test_sampling_balances_speakers_classes_or_corpora(toy_manifest):
    manifest = toy_manifest("A:anger", "A:anger", "A:anger", "A:neutral", "B:neutral", "B:neutral")
    order = epoch_order(manifest, "speaker_balanced", np.random.default_rng(0))
    assert sum(manifest.utterances[row].speaker == "B" for row in order) == 3
    order = epoch_order(manifest, "class_balanced", np.random.default_rng(0))
    assert np.bincount(manifest.labels[order]).tolist() == [3, 3]
    speech = Speech(toy_manifest("X/1:anger", "X/1:neutral", "X/2:anger", "Y/1:anger"), None)
    sampler = TrainSampler([speech], 1.0, 2, 1, sampling="corpus_balanced")
    for batches in (sampler, whole_draws([speech], 2, "corpus_balanced")):
        assert sum(draw.row == 3 for draw in chain(*batches)) == 2
    assert sampling_of(None) == sampling_of({"name": "natural"}) == "natural"
    with pytest.raises(ValueError, match=r"sampling.name"):
        sampling_of({"name": "x"})


@pytest.mark.parametrize("duration", [0.1, 0.731, 2.999, 3.0001])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_scoring_windows_cover_every_sample_and_have_one_length(toy_manifest, duration, overlap):
    total, covered = round(duration * 16000), set()
    windows = [draw.place for (draw,) in scoring_draws(toy_manifest("A:anger", duration=duration), 1.0, overlap, 1)]
    for place in windows:
        assert place.stop - place.start == min(16000, total) and 0 <= place.start < place.stop <= total
        covered |= set(range(place.start, place.stop))
    assert len(covered) == total
    assert len(windows) == max(1, math.ceil((total - 16000) / (16000 - round(overlap * 16000))) + 1)


@pytest.mark.parametrize("window, overlap", [(1.0, -0.1), (1.0, 1.0), (0.05, 0.0)])
def test_impossible_scoring_windows_are_refused(toy_manifest, window, overlap):
    with pytest.raises(ValueError, match=r"window_s"):
        scoring_draws(toy_manifest("A:anger"), window, overlap, 1)


def test_unlabelled_speech_is_drawn_by_the_weights_of_sources_and_the_chances_of_rows(speech):
    chances = equal_chances(["a", "a", "a", "a", "b"])
    many = [replace(speech, labelled=False, weight=3.0, chances=chances), replace(speech, labelled=False)]
    sampler = TrainSampler([speech, *many], 1.0, batch_size=5, seed=1, unlabelled_ratio=8.0)
    draws = [draw for epoch in range(50) for draw in chain(*drawn(sampler, epoch))]
    counts = Counter(draw.source for draw in draws)
    assert counts[0] == 250 and counts[1] + counts[2] == 2000 and 1400 < counts[1] < 1600
    assert 0.45 < sum(draw.row == 4 for draw in draws if draw.source == 1) / counts[1] < 0.55
    assert drawn(sampler, 3) == drawn(TrainSampler([speech, *many], 1.0, 5, 1, 8.0), 3)
