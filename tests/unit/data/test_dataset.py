"""Items of the dataset, and the batches that they make."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from akd_toolkit.data.batches import collate_items
from akd_toolkit.data.dataset import Draw, Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, scoring_batches, whole_draws
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.outputs import UNLABELLED, TeacherOutput

PAGE = Path(__file__).parents[3] / "docs" / "augmentation.md"


@pytest.fixture
def manifest():
    durations = [0.5, 1.0, 2.5, 0.2, 1.7]
    rows = [Utterance(f"u{i}", "/x", 0, round(16000 * d), d, "s", "sad", sex="m") for i, d in enumerate(durations)]
    return Manifest("toy", ("angry", "sad"), tuple(rows))


@pytest.fixture
def waves(manifest):
    return {row.id: np.arange(round(row.duration * 16000), dtype=np.float32) for row in manifest}


def batches_of(sources, draws):
    dataset = WindowDataset(sources)
    return [collate_items([dataset[draw] for draw in batch]) for batch in draws]


def test_windows_are_pieces_of_their_utterance_padded_with_zeros(manifest, waves):
    sources = [Speech(manifest, lambda name, view: waves[name])]
    for batch in batches_of(sources, TrainSampler(sources, 1.0, 2, seed=1)):
        assert batch.labels.tolist() == [1] * len(batch.ids) and batch.teacher is None and batch.attributes is None
        for name, padded, share in zip(batch.ids, batch.waveforms, batch.lengths):
            window, rest = np.split(padded.numpy(), [round(float(share) * len(padded))])
            assert len(window) == min(16000, len(waves[name])) and not rest.any()
            assert (np.diff(window) == 1).all() and window[0] >= 0  # a piece of the ramp that the utterance is


def test_teachers_are_looked_up_for_the_view_and_the_span_of_the_window(manifest, waves):
    requested = []

    def teachers(name, view, span):
        requested.append((name, view, span))
        return TeacherOutput(torch.zeros(1, 1, 2))

    dataset = WindowDataset([Speech(manifest, lambda name, view: waves[name], teachers, views=2)])
    for draw in (Draw(0, 2, view=2, place=0.5, size=16000), Draw(0, 3, place=0.9, size=16000), Draw(0, 4, view=1)):
        dataset[draw]
    assert requested == [("u2", 2, (0.3, 0.7)), ("u3", 0, (0.0, 1.0)), ("u4", 1, (0.0, 1.0))]


def test_unlabelled_speech_has_its_own_teachers_and_no_labels(manifest, waves):
    def says(value):
        return lambda name, view, span: TeacherOutput(torch.full((1, 1, 2), value), names=("t",))

    labelled = Speech(manifest, lambda name, view: waves[name], says(1.0))
    sources = [labelled, replace(labelled, teachers=says(2.0), labelled=False)]
    (batch,) = batches_of(sources, TrainSampler(sources, 1.0, 5, seed=1, unlabelled_ratio=0.6))
    assert batch.labels.tolist() == [1] * 5 + [UNLABELLED] * 3
    assert batch.teacher.logits[0, :, 0].tolist() == [1.0] * 5 + [2.0] * 3


def test_attributes_go_with_their_windows(manifest, waves):
    rows = [replace(row, attributes={"arousal": i} if i else {}) for i, row in enumerate(manifest)]
    rated, names = replace(manifest, utterances=tuple(rows)), ("arousal", "valence")
    labelled = Speech(rated, lambda name, view: waves[name], attributes=names)
    sources = [labelled, Speech(manifest, labelled.waveform, attributes=names, labelled=False)]
    (batch,) = batches_of(sources, TrainSampler(sources, 1.0, 5, seed=1))
    for name, value in zip(batch.ids[:5], batch.attributes[:5, 0].tolist()):
        assert value == int(name[1:]) or (name == "u0" and np.isnan(value))
    assert batch.attributes[5:].isnan().all() and batch.attributes[:, 1].isnan().all()
    assert batch.attributes.dtype == torch.float32
    (whole,) = batches_of([labelled], whole_draws([labelled], 5))
    np.testing.assert_array_equal(whole.attributes, rated.attribute_values(names)[[3, 0, 1, 4, 2]])


def test_scoring_windows_cover_each_utterance_in_order(manifest, waves):
    batches = list(scoring_batches(manifest, waves.__getitem__, window_s=1.0, overlap_s=0.5, batch_size=3))
    ids = [name for batch in batches for name in batch.ids]
    assert ids == ["u0", "u1", "u2", "u2", "u2", "u2", "u3", "u4", "u4", "u4"]
    assert batches[-1].waveforms[-1][-1] == waves["u4"][-1]


def test_a_recipe_adds_an_item_as_the_page_says_and_it_moves_with_the_batch(manifest, waves):
    class Data:
        train = WindowDataset([Speech(manifest, lambda name, view: waves[name])])

    code = re.search(r"## An item of your own.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    exec(code, {"data": Data})
    batch = collate_items([Data.train[Draw(0, 2)], Data.train[Draw(0, 3)]]).to("meta")
    assert batch.extras.sex == ["m", "m"] and batch.extras.loudness.data.device == torch.device("meta")
    assert batch.waveforms.device == torch.device("meta")


def test_teacher_outputs_are_stacked_row_by_row():
    def one(value, frames, targets=None):
        logits = torch.full((2, 1, 3), value)
        return TeacherOutput(
            logits, targets, (logits[0],), (torch.full((1, frames, 2), value),), torch.ones(1), attributes=logits
        )

    both = TeacherOutput.stacked([one(1.0, 2), one(2.0, 4, targets=torch.full((2, 1, 3), 9.0))])
    assert (
        both.logits[0, :, 0].tolist() == both.embedding[0][:, 0].tolist() == both.attributes[1, :, 0].tolist() == [1, 2]
    )
    assert both.targets[0, :, 0].tolist() == [1, 9]  # logits stand in where there are no targets
    assert both.frames[0][0, :, 0].tolist() == [1, 1, 0, 0] and both.lengths.tolist() == [0.5, 1.0]
    assert TeacherOutput.stacked([one(1.0, 2)]).targets is None
