"""The check before a run: each leak is refused, and what cannot be proved is said."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.leaks import audit

ER = {"teacher er": {"name": "transformers_encoder", "source": "superb/hubert-large-superb-er"}}
WHISPER = {"teacher whisper": {"name": "transformers_encoder", "source": "openai/whisper-base"}}


def corpus(*names, sound="", corpus="Toy", **changes):
    rows = [Utterance(name, "/x", 0, 1600, 0.1, name[0], "sad", sha256=sound or name) for name in names]
    return Manifest(corpus, ("sad",), tuple(replace(row, **changes) for row in rows))


def teacher(*speakers):
    return [SimpleNamespace(title="whisper", heads=[SimpleNamespace(trained_on=speakers)])]


def test_a_clean_split_is_proved_and_what_cannot_be_proved_is_said():
    pool = {"other": corpus("X1", corpus="other")}
    found = audit(corpus("A1", "B1"), corpus("C1"), teacher("A", "B"), pool, models=WHISPER)
    assert len(found["proved"]) == 7 and any("head of teacher whisper" in line for line in found["proved"])
    assert any("teacher whisper (openai/whisper-base)" in line for line in found["not_proved"])
    assert any("unlabelled" in line for line in found["not_proved"])
    proved = audit(corpus("A1"), corpus("C1"), models=ER)["proved"]
    assert any("not on Toy, according to its authors" in line for line in proved)


@pytest.mark.parametrize(
    ("train", "test", "options", "token"),
    [
        (corpus("A1", "B1"), corpus("A2"), {}, "A2"),
        (corpus("A1"), corpus("A1", speaker="Z"), {}, "A1"),
        (corpus("A1", sound="same"), corpus("C1", sound="same"), {}, "A1.*C1.*SHA-256"),
        (corpus("A1", sha256=""), corpus("C1", sha256="", start=800, stop=2400), {}, "A1.*C1.*overlap.*/x"),
        (corpus("A1"), corpus("C1"), {"teachers": teacher("A", "C")}, "whisper .*test speaker C"),
        (corpus("A1"), corpus("C1", sound="s"), {"unlabelled": {"o": corpus("X1", sound="s")}}, "X1.*C1"),
        (
            *(corpus("A1", corpus="IEMOCAP"), corpus("C1", corpus="IEMOCAP"), {"models": ER}),
            r"teacher er \(superb/hubert-large-superb-er\).* IEMOCAP",
        ),
    ],
)
def test_a_leak_is_refused(train, test, options, token):
    with pytest.raises(ValueError, match=token):
        audit(train, test, **options)


def test_speech_of_training_speakers_and_pieces_that_do_not_overlap_leave_nothing_open():
    assert audit(corpus("A1"), corpus("C1"), None, {"own": corpus("A2")})["not_proved"] == []
    audit(corpus("A1", sha256=""), corpus("C1", sha256="", start=1600, stop=3200))


def test_speakers_without_a_name_are_not_proved_to_be_on_one_side():
    found = audit(corpus("A1"), corpus("C1", speaker="n/a"), teacher("A"))
    assert "1 of 2 utterances" in found["not_proved"][0] and not any("speaker" in line for line in found["proved"])


@pytest.mark.parametrize("setting", [True, False])
def test_with_unknown_speakers_names_prove_nothing_about_voices(setting):
    train, test = (replace(corpus(name, corpus="Calls"), speakers_known=setting) for name in ("A1", "C1"))
    found = audit(train, test, teacher("A"), {"own": corpus("A2")}, speaker_independent=not setting)
    assert not any("speaker" in line or "head" in line for line in found["proved"])
    for token in ("no speaker is on both sides", "no head of teacher whisper", "unlabelled"):
        assert any(token in line for line in found["not_proved"])


def test_a_head_trained_on_the_speakers_that_it_gives_targets_for_is_reported():
    clean, one_head = (audit(corpus("A1"), corpus("C1"), teacher("A"), one_head=one)["proved"] for one in (False, True))
    assert len(one_head) == len(clean) - 1


def test_noise_and_missing_checksums_are_said():
    augment = [{"name": "random_gain"}, {"name": "noise_files", "folder": "/musan"}]
    found = audit(corpus("A1"), corpus("C1", sha256="", wav="/y"), augment=augment)["not_proved"]
    assert len(found) == 2 and "1 utterance is not duplicated: no checksum" in found[0] and "/musan" in found[1]
