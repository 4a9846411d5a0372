from dataclasses import replace

import numpy as np
import pytest
import torch

from akd_toolkit.data.batches import ScoringBatches, Speech, TrainBatches
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.outputs import UNLABELLED, TeacherOutput


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
    batches = TrainBatches(Speech(manifest, lambda i, v: waves[i]), window_s=1.0, batch_size=2, seed=1)
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
    one, same, other = (TrainBatches(Speech(manifest, lambda i, v: waves[i]), 1.0, 2, seed=s) for s in (1, 1, 2))
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

    def teachers(ids, views, spans):
        asked.extend(zip(ids, views))

    batches = TrainBatches(Speech(manifest, waveform, teachers, views=3), 1.0, 2, seed=1)
    for epoch in range(6):
        drawn(batches, epoch)
    assert heard == asked and {view for _, view in heard} == {0, 1, 2, 3}


def test_scoring_windows_cover_each_utterance_in_order(corpus):
    manifest, waves = corpus
    batches = list(ScoringBatches(manifest, waves.__getitem__, window_s=1.0, overlap_s=0.5, batch_size=3))
    ids = [name for batch in batches for name in batch.ids]
    assert ids == ["u0", "u1", "u2", "u2", "u2", "u2", "u3", "u4", "u4", "u4"]
    last = batches[-1].waveforms[-1]
    assert last[-1] == waves["u4"][-1]


def test_a_batch_moves_with_its_teachers(corpus):
    manifest, waves = corpus
    batch = next(iter(ScoringBatches(manifest, waves.__getitem__, 1.0, 0.0, 4)))
    assert batch.to("meta").waveforms.device == torch.device("meta")


def test_unlabelled_windows_follow_the_labelled_ones_with_their_own_teachers(corpus):
    manifest, waves = corpus
    other = Manifest(
        "other", ("unlabelled",), tuple(Utterance(f"x{i}", "/x", 0, 8000, 0.5, "x", "unlabelled") for i in range(3))
    )

    def says(value):
        return lambda ids, views, spans: TeacherOutput(torch.full((1, len(ids), 2), value), names=("t",))

    labelled = Speech(manifest, lambda i, v: waves[i], says(1.0))
    unlabelled = Speech(other, lambda i, v: np.ones(8000, np.float32), says(2.0), views=2)
    batches = TrainBatches(labelled, 1.0, 5, seed=1, unlabelled=unlabelled, unlabelled_ratio=0.6)
    (batch,) = batches
    assert sorted(batch.ids[:5]) == sorted(manifest.ids) and set(batch.ids[5:]) <= set(other.ids)
    assert batch.labels.tolist() == [0] * 5 + [UNLABELLED] * 3
    assert batch.teacher.logits[0, :, 0].tolist() == [1.0] * 5 + [2.0] * 3


def test_attributes_go_with_their_windows_and_are_unknown_for_unlabelled_speech(corpus):
    manifest, waves = corpus
    rows = [replace(row, attributes={"arousal": i} if i else {}) for i, row in enumerate(manifest)]
    rated = Manifest("toy", ("sad",), tuple(rows))

    def says(ids, views, spans):
        return TeacherOutput(torch.zeros(1, len(ids), 2))

    other = Speech(manifest, lambda i, v: waves[i], says)
    labelled = Speech(rated, lambda i, v: waves[i], says)
    options = {"window_s": 1.0, "batch_size": 5, "seed": 1}
    (batch,) = TrainBatches(labelled, **options, unlabelled=other, attributes=["arousal", "valence"])
    known = dict(zip(batch.ids[:5], batch.attributes[:5, 0].tolist()))
    assert {name: known[name] for name in ("u1", "u2", "u3", "u4")} == {"u1": 1, "u2": 2, "u3": 3, "u4": 4}
    assert np.isnan(known["u0"]) and batch.attributes[5:].isnan().all() and batch.attributes[:, 1].isnan().all()
    assert batch.attributes.dtype == torch.float32 and batch.to("meta").attributes.device == torch.device("meta")
    for whole in TrainBatches(labelled, **options, attributes=["arousal"]).whole():
        np.testing.assert_array_equal(whole.attributes, rated.attribute_values(["arousal"])[[3, 0, 1, 4, 2]])
    (plain,) = TrainBatches(labelled, **options)
    assert plain.attributes is None
