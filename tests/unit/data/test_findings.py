import numpy as np
import pytest
import soundfile

from akd_toolkit.data.findings import look_at
from akd_toolkit.data.importers.corpus import Source


@pytest.fixture
def folder(tmp_path, tone):
    """A small corpus with all that is odd: stereo, another rate, too quiet, the same sound twice, capitals."""
    sounds = {
        "a_joy_1": tone(1.0),
        "a_fear_1": tone(2.0),
        "b_joy_1": np.stack([tone(1.5), tone(1.5)], axis=1),
        "b_Joy_1": 1e-3 * tone(0.4),
        "c_fear_1": tone(2.0),
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "c_joy_1.wav", tone(3.0, 44100), 44100)
    return tmp_path


def test_counts_lengths_and_window_are_those_of_the_files(folder):
    found = look_at(folder, Source(pattern="{speaker}_{emotion}_*", labels={"Joy": "awe"}), "Mine")
    assert found.sentence() == "6 utterances, 3 speakers, 3 classes"
    assert found.counts == {"awe": 1, "fear": 2, "joy": 3}
    assert found.table() == (
        ["speaker", "awe", "fear", "joy", "all"],
        [["a", 0, 1, 1, 2], ["b", 1, 0, 1, 2], ["c", 0, 1, 1, 2], ["all", 1, 2, 3, 6]],
    )
    assert found.window_s == 2.0  # of 0.4, 1, 1.5, 2, 2, 3 s three quarters are at most 2 s
    assert "last 0.40 to 3.00 s, half of them 1.75 s or less" in found.lengths()


def test_oddities_are_reported(folder):
    found = look_at(folder, Source(pattern="{speaker}_{emotion}_*"), "Mine")
    told = ". ".join(found.oddities())
    for sentence in (
        "class Joy has few utterances, 1",
        "the classes Joy, joy may be the same",
        "some class is missing from speakers a, b, c",
        "a_fear_1 and c_fear_1 hold the same sound",
        "stereo, so that channels are averaged: 1",
        "of 44100 Hz, resampled to 16000: 1",
        "very quiet: 1 (b_Joy_1)",
        "shorter than 0.5 s: 1 (b_Joy_1)",
    ):
        assert sentence in told
    assert "has another label" not in told


def test_speakers_with_two_spellings_and_uninformative_classes_are_reported(folder):
    for name in ("C_joy_9", "a_unknown_9", "01_joy_9", "1_joy_9"):
        (folder / f"{name}.wav").write_bytes((folder / "a_joy_1.wav").read_bytes())
    text = ". ".join(look_at(folder, Source(pattern="{speaker}_{emotion}_*"), "Mine").oddities())
    tokens = ("speakers C, c may", "01, 1 may be", "'unknown=-'", "6 speakers for 10 utterances", "has another label")
    for token in tokens:
        assert token in text


def test_one_class_is_refused(folder):
    source = Source(pattern="{speaker}_{emotion}_*", labels={"fear": "joy", "Joy": "joy"})
    with pytest.raises(ValueError, match=r"has 1 class \(joy\); two are needed"):
        look_at(folder, source, "Mine")


def test_a_pattern_that_may_split_names_wrongly_is_reported(folder):
    (folder / "c_fear_1.wav").rename(folder / "c_fear_2.wav")
    for pattern, token in (("{emotion}_{speaker}", "joy_1"), ("{speaker:1}_*_{emotion}", "(1, 2)")):
        assert token in ". ".join(look_at(folder, Source(pattern=pattern), "Mine").oddities())
    assert "are numbers" not in ". ".join(look_at(folder, Source(pattern="*_{emotion}_{speaker}"), "Mine").oddities())
