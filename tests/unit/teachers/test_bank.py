"""All teachers of a run: loaded only if needed, outputs for a batch, and transfer to unlabelled speech."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from in_memory import InMemoryAudio

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.teachers import TeacherBank, transfer_fold, transformers_encoder

GROUPS = [["A"], ["B"], ["C"], ["D"]]
BANDS = {"name": "logmel_statistics", "num_mels": 8}


@pytest.fixture
def bank(tmp_path, audio, encoder_folder):
    folder = str(encoder_folder())

    def make(specs=None, **options):
        specs = specs or {"bands": BANDS, "encoder": {"name": "transformers_encoder", "source": folder}}
        return TeacherBank(specs, audio, tmp_path / "store", progress=False, **options)

    return make


def test_lookup_gives_the_own_targets_of_each_teacher(bank):
    fold = bank(num_views=2).fold(["A", "B", "C"], GROUPS)
    ids, views = ["D-low-1", "A-high-0", "B-low-2"], [0, 1, 1]
    output = fold.lookup(ids, views)
    assert output.names == ("bands", "encoder") == tuple(target.title for target in fold)
    for teacher, target in enumerate(fold):
        for place, (name, view) in enumerate(zip(ids, views)):
            assert torch.equal(output.logits[teacher, place], target.logits[target.ids.index(name), view])
            expected = target.embed(fold.stores[teacher].get([name], view))[0]
            torch.testing.assert_close(output.embedding[teacher][place], expected)
    assert [embedding.shape for embedding in output.embedding] == [(3, 90), (3, 32)]
    assert fold.embedding_dims == [90, 32] and len(fold) == 2 and fold[1] is fold.targets[1]
    assert torch.equal(fold.lookup(ids, 1).logits, fold.lookup(ids, [1, 1, 1]).logits)
    assert not output.logits.requires_grad and not any(e.requires_grad for e in output.embedding)


def test_frames_are_padded_to_the_longest_and_cut_to_spans(bank):
    fold = bank(frames=["encoder"]).fold(["A", "B", "C"], GROUPS)
    ids = ["A-low-0", "A-low-2"]  # 0.25 s and 0.27 s
    whole = fold.lookup(ids, frames=True)
    (frames,) = whole.frames
    assert frames.shape == (2, 13, 16) and fold.frame_dims == [16]
    torch.testing.assert_close(whole.lengths, torch.tensor([12 / 13, 1.0]))
    assert not frames[0, 12:].any()
    (part,) = fold.lookup(ids, frames=True, spans=[(0.0, 0.5), (0.5, 1.0)]).frames
    assert torch.equal(part[0, :6], frames[0, :6])
    assert not fold.lookup(ids).frames


def test_encoder_is_unloaded_afterwards_and_not_loaded_where_its_features_are_stored(bank, audio, monkeypatch):
    teachers = bank()
    teachers.prepare()
    assert "_loaded" not in vars(teachers.stores["encoder"].teacher)
    monkeypatch.setattr(transformers_encoder, "_load_checked", lambda *args: pytest.fail("loaded"))
    monkeypatch.setattr(audio, "waveform", lambda *args: pytest.fail("sound read"))
    bank().fold(["A", "B"], GROUPS)


def test_wrong_options_classes_and_teachers_are_refused_when_the_bank_is_made(bank, encoder_folder, tmp_path, audio):
    ordered = encoder_folder("hubert")
    config = json.loads((ordered / "config.json").read_text())
    (ordered / "config.json").write_text(json.dumps({**config, "id2label": {"0": "high", "1": "low"}}))
    encoder = {"name": "transformers_encoder", "source": str(ordered)}
    for call, key in (
        (lambda: bank({"bands": {"name": "logmel_statistics", "num_mel": 8}}), "num_mel"),
        (lambda: bank({"bands": {**BANDS, "parts": ["pitch"]}}), "pitch"),
        (lambda: bank(frames=["other"]), "teacher other"),
        (lambda: TeacherBank({}, audio, tmp_path), "no teachers"),
        (lambda: bank().fold(["A", "B"], GROUPS, label_order=("high", "low")), "order classes differently"),
        (lambda: bank({"encoder": encoder}), r"\[high, low\] and \[low, high\]"),
    ):
        with pytest.raises(ValueError, match=key):
            call()


def over(manifest, sounds, folder, **options):
    return TeacherBank({"bands": BANDS}, InMemoryAudio(manifest, sounds), folder, progress=False, **options)


def test_with_one_head_losses_imitate_it_while_gates_use_the_cross_fitted_ones(manifest, sounds, tmp_path):
    bank = over(manifest, sounds, tmp_path)
    crossed, shared = (bank.fold(["A", "B"], GROUPS, one_head=one).lookup(manifest.ids) for one in (False, True))
    torch.testing.assert_close(crossed.logits, shared.logits)
    assert crossed.targets is None
    training = torch.tensor([row.speaker in "AB" for row in manifest])
    assert not torch.allclose(shared.targets[:, training], shared.logits[:, training])
    torch.testing.assert_close(shared.targets[:, ~training], shared.logits[:, ~training])


@pytest.fixture
def with_attributes(manifest, sounds, tmp_path):
    """A bank of a corpus whose utterances have a brightness, by emotion, and a number."""
    rows = tuple(
        replace(row, attributes={"brightness": 2.0 * (row.emotion == "high"), "number": float(row.id[-1])})
        for row in manifest
    )
    return over(Manifest("tones", manifest.label_order, rows), sounds, tmp_path, num_views=2)


def test_a_fold_predicts_attributes_where_they_are_wanted(with_attributes):
    fold = with_attributes.fold(["A", "B", "C"], GROUPS, attributes=["brightness", "number"])
    ids, views = ["D-low-1", "D-high-0", "A-high-2"], [0, 1, 1]
    found, plain = fold.lookup(ids, views), with_attributes.fold(["A", "B", "C"], GROUPS).lookup(ids, views)
    assert found.attributes.shape == (1, 3, 2)
    torch.testing.assert_close(found.attributes[0, :, 0], torch.tensor([0.0, 2.0, 2.0]), atol=0.5, rtol=0)
    assert torch.equal(found.logits, plain.logits) and plain.attributes is None


@pytest.fixture
def unlabelled(manifest, sounds, tmp_path):
    """A bank of the same speech without labels, at another level."""
    rows = [replace(row, speaker="unlabelled", emotion="unlabelled") for row in manifest]
    others = Manifest("others", ("unlabelled",), tuple(rows))
    return over(others, {name: 0.3 * sound for name, sound in sounds.items()}, tmp_path)


def test_unlabelled_speech_gets_targets_from_heads_of_the_training_speakers(with_attributes, unlabelled):
    fold, others = with_attributes.fold(["A", "B"], GROUPS, attributes=["brightness"]), unlabelled.manifest
    transferred = transfer_fold(fold, unlabelled, others)
    assert {target.heads[own].trained_on for target in transferred for own in target.head_of} == {("A", "B")}
    output, high = transferred.lookup(others.ids), torch.tensor(["high" in name for name in others.ids])
    assert (output.logits[0].argmax(dim=-1) == high).float().mean() > 0.9
    assert output.attributes[0, high].mean() > output.attributes[0, ~high].mean() + 1
    joined = TeacherOutput.stacked([fold.lookup(["A-low-0"]), transferred.lookup(["B-low-0"])])
    assert joined.attributes.shape == (1, 2, 1)


def test_mixtures_of_a_training_speaker_get_targets_without_it_and_without_test_speakers(manifest, sounds, tmp_path):
    own = manifest.of(["A", "B"])  # the corpus's own speech is used as its mixtures
    logits = []
    for louder in (1.0, 3.0):  # the test speakers' speech changes, and nothing else
        changed = {name: wave * (1.0 if name[0] in "AB" else louder) for name, wave in sounds.items()}
        bank = over(manifest, changed, tmp_path / str(louder))
        (target,) = transfer_fold(bank.fold(["A", "B"], GROUPS), bank, own)
        assert [target.heads[index].trained_on for index in target.head_of] == [
            ("B",) if row.speaker == "A" else ("A",) for row in own
        ]
        logits.append(target.logits)
    np.testing.assert_allclose(*logits, atol=1e-4)


def test_standardise_goes_from_the_heads_own_statistics_to_those_of_the_speech(with_attributes, unlabelled):
    fold, others = with_attributes.fold(["A", "B"], GROUPS), unlabelled.manifest
    (own,), (between,), (theirs,) = (transfer_fold(fold, unlabelled, others, share) for share in (0.0, 0.5, 1.0))
    for fitted, mine, half, new in zip(fold.targets[0].heads, own.heads, between.heads, theirs.heads, strict=True):
        torch.testing.assert_close(mine.mean, fitted.mean)
        torch.testing.assert_close(half.mean, (mine.mean + new.mean) / 2)
        torch.testing.assert_close(half.deviation, (mine.deviation * new.deviation).sqrt())
    assert between.logits.isfinite().all() and not torch.allclose(own.logits, theirs.logits)
