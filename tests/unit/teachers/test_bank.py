"""All teachers of a run: built once, loaded only when needed, answering for a batch."""

import json

import numpy as np
import pytest
import torch

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers import TeacherBank, teacher_params, transformers_encoder

GROUPS = [["A"], ["B"], ["C"], ["D"]]
BANDS = {"name": "logmel_statistics", "num_mels": 8}


@pytest.fixture
def bank(tmp_path, audio, encoder_folder):
    folder = str(encoder_folder())

    def make(specs=None, **options):
        specs = specs or {"bands": BANDS, "encoder": {"name": "transformers_encoder", "source": folder}}
        return TeacherBank(specs, audio, tmp_path / "store", progress=False, **options)

    return make


def test_lookup_gives_what_each_teachers_own_targets_say(bank):
    fold = bank(num_views=2).fold(["A", "B", "C"], GROUPS)
    ids, views = ["D-low-1", "A-high-0", "B-low-2"], [0, 1, 1]
    output = fold.lookup(ids, views)
    assert output.names == ("bands", "encoder") == tuple(target.title for target in fold)
    for teacher, target in enumerate(fold):
        for place, (name, view) in enumerate(zip(ids, views)):
            row = target.ids.index(name)
            assert torch.equal(output.logits[teacher, place], target.logits[row, view])
            expected = target.embed(fold.stores[teacher].get([name], view))[0]
            torch.testing.assert_close(output.embedding[teacher][place], expected)
    assert [embedding.shape for embedding in output.embedding] == [(3, 90), (3, 32)]
    assert fold.embedding_dims == [90, 32] and len(fold) == 2 and fold[1] is fold.targets[1]
    assert torch.equal(fold.lookup(ids, 1).logits, fold.lookup(ids, [1, 1, 1]).logits)


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


def test_encoder_is_not_loaded_where_its_features_are_stored(bank, audio, monkeypatch):
    bank().prepare()
    monkeypatch.setattr(transformers_encoder, "_load_checked", lambda *args: pytest.fail("loaded"))
    monkeypatch.setattr(audio, "waveform", lambda *args: pytest.fail("sound read"))
    bank().fold(["A", "B"], GROUPS)


def test_encoder_is_let_go_after_its_features_are_stored(bank):
    teachers = bank()
    teachers.prepare()
    assert "_loaded" not in vars(teachers.stores["encoder"].teacher)


def test_unknown_option_is_refused_when_the_bank_is_made(bank):
    with pytest.raises(ValueError, match=r"teacher 'logmel_statistics': .*num_mel.*Did you mean 'num_mels'"):
        bank({"bands": {"name": "logmel_statistics", "num_mel": 8}})


def test_teacher_with_the_classes_in_another_order_is_refused_when_the_bank_is_made(bank, encoder_folder):
    folder = encoder_folder()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "high", "1": "low"}}))
    with pytest.raises(ValueError, match=r"order classes differently: \[high, low\] and \[low, high\]"):
        bank({"encoder": {"name": "transformers_encoder", "source": str(folder)}})


def test_fold_with_another_label_order_is_refused(bank):
    with pytest.raises(ValueError, match="order classes differently"):
        bank().fold(["A", "B"], GROUPS, label_order=("high", "low"))


def test_frames_of_an_unknown_teacher_and_no_teachers_at_all_are_refused(bank, tmp_path, audio):
    with pytest.raises(ValueError, match="frames are asked of teacher other"):
        bank(frames=["other"])
    with pytest.raises(ValueError, match="there are no teachers"):
        TeacherBank({}, audio, tmp_path)


def test_students_learn_from_numbers_that_need_no_gradient(bank):
    output = bank().fold(["A", "B"], GROUPS).lookup(["A-low-0"])
    assert not output.logits.requires_grad and not any(e.requires_grad for e in output.embedding)
    (torch.ones(1, requires_grad=True) * output.logits.sum()).backward()  # and are allowed in a student's graph


def test_heads_of_each_teacher_are_described_for_the_audit(bank):
    teachers = list(bank().fold(["A", "B"], GROUPS))
    assert [teacher.title for teacher in teachers] == ["bands", "encoder"]
    assert all("C" not in head["trained_on"] for teacher in teachers for head in teacher.described_heads())


def test_parameters_of_a_teacher_are_counted_without_loading_it(encoder_folder, monkeypatch):
    monkeypatch.setattr(transformers_encoder, "_load_checked", lambda *args: pytest.fail("loaded"))
    assert teacher_params({"name": "transformers_encoder", "source": str(encoder_folder())}) > 1000
    assert teacher_params(BANDS) == 0


def test_two_kinds_of_teachers_make_one_output_for_the_objective(bank):
    output = bank().fold(["A", "B", "C"], GROUPS).lookup(["D-low-0", "D-high-0"])
    probs = output.mixture(temperature=1.0)
    np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-5)
    assert len(output) == 2 and set(TEACHERS.names()) >= {"logmel_statistics", "transformers_encoder"}
