"""Each leak is planted, and caught."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.leaks import audit


def corpus(*names, sound="", corpus="Toy"):
    rows = [Utterance(name, "/x", 0, 1600, 0.1, name[0], "sad", sha256=sound or name) for name in names]
    return Manifest(corpus, ("sad",), tuple(rows))


def teacher(*heard):
    return [SimpleNamespace(title="whisper", heads=[SimpleNamespace(heard=heard)])]


def test_a_clean_split_is_proved_and_what_cannot_be_is_said():
    models = {"teacher whisper": {"name": "transformers_encoder", "source": "openai/whisper-base"}}
    found = audit(corpus("A1", "B1"), corpus("C1"), teacher("A", "B"), corpus("X1", corpus="other"), models=models)
    assert len(found["proved"]) == 7 and found["proved"][3] == "no head of teacher whisper was fitted on a test speaker"
    assert any(
        "teacher whisper (openai/whisper-base) was not trained on recordings of Toy" in line
        for line in found["not_proved"]
    )
    assert any("unlabelled speech" in line for line in found["not_proved"])


def test_nobody_is_not_proved_to_be_on_one_side():
    nameless = Manifest("Toy", ("sad",), (Utterance("u1", "/y", 0, 1600, 0.1, "n/a", "sad", sha256="u1"),))
    found = audit(corpus("A1"), nameless, teacher("A"))
    assert "1 utterance" in found["not_proved"][0] and not any("speaker" in line for line in found["proved"])


def test_a_head_that_heard_what_it_teaches_is_not_passed_over():
    found = audit(corpus("A1"), corpus("C1"), teacher("A"), one_head=True)
    assert not any("losses imitate" in line for line in found["proved"])


def test_mixtures_of_training_speakers_leave_nothing_open():
    assert audit(corpus("A1"), corpus("C1"), None, corpus("A2"))["not_proved"] == []


def test_a_shared_speaker_is_refused():
    with pytest.raises(ValueError, match="A2"):
        audit(corpus("A1", "B1"), corpus("A2"))


def test_the_same_sound_under_two_names_is_refused():
    with pytest.raises(ValueError, match="A1.*C1.*SHA-256"):
        audit(corpus("A1", sound="same"), corpus("C1", sound="same"))


def test_an_utterance_of_two_speakers_is_refused():
    (row,) = corpus("A1")
    with pytest.raises(ValueError, match="A1"):
        audit(corpus("A1"), Manifest("Toy", ("sad",), (replace(row, speaker="Z"),)))


def test_pieces_of_one_recording_across_the_split_are_refused():
    one, other = (Utterance(f"{s}1", "/x", start, start + 1600, 0.1, s, "sad") for s, start in (("A", 0), ("C", 800)))
    sides = [Manifest("Toy", ("sad",), (row,)) for row in (one, other)]
    with pytest.raises(ValueError, match="A1.*C1.*overlap.*/x"):
        audit(*sides)


def test_pieces_that_do_not_overlap_pass():
    one, other = (Utterance(f"{s}1", "/x", start, start + 1600, 0.1, s, "sad") for s, start in (("A", 0), ("C", 1600)))
    audit(*(Manifest("Toy", ("sad",), (row,)) for row in (one, other)))


def test_without_named_speakers_none_is_said_to_be_apart():
    found = audit(corpus("A1"), corpus("C1"), speaker_independent=False)
    assert not any("nobody in common" in line for line in found["proved"])
    assert found["not_proved"] == ["that no speaker is on both sides, as the corpus does not say who speaks"]


@pytest.mark.parametrize("setting", [True, False])
def test_names_prove_nothing_of_voices_where_speakers_are_unknown(setting):
    sides = [replace(corpus(name, corpus="Calls"), speakers_known=False) for name in ("A1", "C1")]
    found = audit(*sides, teacher("A"), corpus("A2"), speaker_independent=setting)
    assert not any("speaker" in line or "head" in line for line in found["proved"])
    assert "that no head of teacher whisper was fitted on a test speaker" in found["not_proved"]
    assert "that no speaker is on both sides, as the corpus does not say who speaks" in found["not_proved"]
    assert any("no test speaker speaks in the unlabelled" in line for line in found["not_proved"])


def test_noise_that_no_audit_knows_and_missing_checksums_are_said():
    unknown = Manifest("Toy", ("sad",), (Utterance("C1", "/y", 0, 1600, 0.1, "C", "sad"),))
    found = audit(corpus("A1"), unknown, augment=[{"name": "random_gain"}, {"name": "noise_files", "folder": "/musan"}])
    assert "1 training and 1 test utterances have no utterance in common" in found["proved"]
    assert found["not_proved"] == [
        "that no recording is there twice, as 1 utterances have no checksum",
        "that the noise in /musan, mixed into the training speech, holds no speech of the test",
    ]


def test_a_head_that_heard_a_test_speaker_is_refused():
    with pytest.raises(ValueError, match="head of teacher whisper was fitted on test speaker C"):
        audit(corpus("A1"), corpus("C1"), teacher("A", "C"))


def test_a_model_that_was_trained_on_the_corpus_is_refused_and_others_are_proved():
    models = {"teacher er": {"name": "transformers_encoder", "source": "superb/hubert-large-superb-er"}}
    with pytest.raises(ValueError, match=r"teacher er \(superb/hubert-large-superb-er\) was trained on IEMOCAP"):
        audit(corpus("A1", corpus="IEMOCAP"), corpus("C1", corpus="IEMOCAP"), models=models)
    proved = audit(corpus("A1"), corpus("C1"), models=models)["proved"]
    assert proved[-1].startswith("teacher er") and "and not on Toy, by its authors' account" in proved[-1]


def test_test_speech_among_the_unlabelled_is_refused():
    with pytest.raises(ValueError, match="X1.*C1"):
        audit(corpus("A1"), corpus("C1", sound="test"), None, corpus("X1", sound="test", corpus="other"))
