import numpy as np
import pytest
import torch

from akd_toolkit.data.batches import TrainBatches, scoring_batches
from akd_toolkit.data.manifest import Manifest, Utterance


@pytest.fixture
def corpus():
    durations = [0.5, 1.0, 2.5, 0.2, 1.7]
    rows = [Utterance(f"u{i}", "/x", 0, round(16000 * d), d, "s", "sad") for i, d in enumerate(durations)]
    manifest = Manifest("toy", ("sad",), tuple(rows))
    waves = {row.id: np.arange(round(row.duration * 16000), dtype=np.float32) for row in rows}
    return manifest, waves


def drawn(batches, epoch):
    batches.set_epoch(epoch)
    return [(batch.ids, batch.waveforms, batch.lengths) for batch in batches]


def test_an_epoch_hears_every_utterance_once_in_windows_of_itself(corpus):
    manifest, waves = corpus
    batches = TrainBatches(manifest, lambda i, v: waves[i], window_s=1.0, batch_size=2, seed=1)
    seen = []
    for ids, windows, lengths in drawn(batches, 1):
        for name, window, share in zip(ids, windows, lengths):
            heard = window[: round(float(share) * len(window))].numpy()
            assert len(heard) == min(16000, len(waves[name]))
            assert (np.diff(heard) == 1).all() and heard[0] >= 0  # a piece of the ramp that the utterance is
            seen.append(name)
    assert sorted(seen) == sorted(manifest.ids) and len(batches) == 3


def test_batches_depend_on_seed_and_epoch_alone(corpus):
    manifest, waves = corpus
    one, same, other = (TrainBatches(manifest, lambda i, v: waves[i], 1.0, 2, seed=s) for s in (1, 1, 2))
    list(one)  # what was drawn before does not matter
    assert [ids for ids, *_ in drawn(one, 3)] == [ids for ids, *_ in drawn(same, 3)]
    assert [ids for ids, *_ in drawn(one, 4)] != [ids for ids, *_ in drawn(same, 3)]
    assert [ids for ids, *_ in drawn(other, 3)] != [ids for ids, *_ in drawn(same, 3)]


def test_the_teachers_are_asked_about_the_view_that_the_student_hears(corpus):
    manifest, waves = corpus
    heard, asked = [], []

    def waveform(name, view):
        heard.append((name, view))
        return waves[name]

    def teachers(ids, views):
        asked.extend(zip(ids, views))

    batches = TrainBatches(manifest, waveform, 1.0, 2, seed=1, views=3, teachers=teachers)
    for epoch in range(6):
        drawn(batches, epoch)
    assert heard == asked and {view for _, view in heard} == {0, 1, 2, 3}


def test_scoring_windows_cover_each_utterance_in_order(corpus):
    manifest, waves = corpus
    batches = scoring_batches(manifest, waves, window_s=1.0, overlap_s=0.5, batch_size=3)
    ids = [name for batch in batches for name in batch.ids]
    assert ids == ["u0", "u1", "u2", "u2", "u2", "u2", "u3", "u4", "u4", "u4"]
    last = batches[-1].waveforms[-1]
    assert last[-1] == waves["u4"][-1]


def test_a_batch_moves_with_its_teachers(corpus):
    manifest, waves = corpus
    batch = scoring_batches(manifest, waves, 1.0, 0.0, 4)[0]
    assert batch.to("meta").waveforms.device == torch.device("meta")
