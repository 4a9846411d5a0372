"""Each leak is planted, and caught."""

from types import SimpleNamespace

import pytest

from akd_toolkit.audit import audit
from akd_toolkit.data.manifest import Manifest, Utterance


def corpus(*names, sound="", corpus="Toy"):
    rows = [Utterance(name, "/x", 0, 1600, 0.1, name[0], "sad", sha256=sound or name) for name in names]
    return Manifest(corpus, ("sad",), tuple(rows))


def teacher(*heard):
    return [SimpleNamespace(title="whisper", heads=[SimpleNamespace(heard=heard)])]


def test_a_clean_split_is_proved_and_what_cannot_be_is_said():
    found = audit(corpus("A1", "B1"), corpus("C1"), teacher("A", "B"), corpus("X1", corpus="other"))
    assert len(found["proved"]) == 6 and found["proved"][2] == "no head of teacher whisper has heard a test speaker"
    assert any("encoder of teacher whisper" in line for line in found["not_proved"])
    assert any("unlabelled speech" in line for line in found["not_proved"])


def test_a_head_that_heard_what_it_teaches_is_not_passed_over():
    found = audit(corpus("A1"), corpus("C1"), teacher("A"), one_head=True)
    assert not any("losses imitate" in line for line in found["proved"])


def test_mixtures_of_training_speakers_leave_nothing_open():
    assert audit(corpus("A1"), corpus("C1"), None, corpus("A2"))["not_proved"] == []


def test_a_shared_speaker_is_refused():
    with pytest.raises(ValueError, match="speaker A is in training and in test"):
        audit(corpus("A1", "B1"), corpus("A2"))


def test_the_same_sound_under_two_names_is_refused():
    with pytest.raises(ValueError, match="hold the same sound"):
        audit(corpus("A1", sound="same"), corpus("C1", sound="same"))


def test_a_head_that_heard_a_test_speaker_is_refused():
    with pytest.raises(ValueError, match="head of teacher whisper was fitted on test speaker C"):
        audit(corpus("A1"), corpus("C1"), teacher("A", "C"))


def test_test_speech_among_the_unlabelled_is_refused():
    with pytest.raises(ValueError, match="hold the same sound"):
        audit(corpus("A1"), corpus("C1", sound="test"), None, corpus("X1", sound="test", corpus="other"))
