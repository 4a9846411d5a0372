import hashlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.data.layouts import LAYOUTS
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.data.voice import ACTINGS, Syllable, VoiceSettings, speak

SMALL = {"speakers": 2, "utterances_per_speaker_and_emotion": 1, "progress": False}


def small(folder, **options):
    return generate_corpus(folder, **{**SMALL, **options})


def test_the_same_seed_gives_the_same_samples_also_in_a_larger_corpus_and_another_seed_others(tmp_path):
    first, again, other = (
        sorted((small(tmp_path / name, seed=seed) / "wav").iterdir()) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert [p.name for p in first] == [p.name for p in other]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, again))
    assert all(a.read_bytes() != c.read_bytes() for a, c in zip(first, other))
    few = sorted((small(tmp_path / "few", emotions=("sadness",)) / "wav").iterdir())
    many = small(tmp_path / "many", emotions=("anger", "sadness"), speakers=3, utterances_per_speaker_and_emotion=2)
    assert len(few) == 2 and all((many / "wav" / path.name).read_bytes() == path.read_bytes() for path in few)


def test_a_complete_corpus_is_reused_and_an_incomplete_one_generated_again(tmp_path):
    folder = small(tmp_path / "corpus")
    path = sorted((folder / "wav").iterdir())[0]
    before = path.stat().st_mtime_ns
    small(folder)
    assert path.stat().st_mtime_ns == before
    path.unlink()
    small(folder)
    assert path.is_file()
    small(folder, seed=1)
    assert len(list((folder / "wav").iterdir())) == 8


def test_an_interrupt_leaves_the_old_corpus(tmp_path, monkeypatch):
    folder = small(tmp_path / "corpus")
    monkeypatch.setattr("akd_toolkit.data.synthetic.speak", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        small(folder, seed=1)
    assert list(tmp_path.iterdir()) == [folder]
    monkeypatch.undo()
    before = (folder / "wav" / "f01_anger_00.wav").stat().st_mtime_ns
    assert (small(folder) / "wav" / "f01_anger_00.wav").stat().st_mtime_ns == before


def test_a_folder_with_something_else_is_never_deleted(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not generated here"):
        small(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_the_samples_of_version_1_never_change(tmp_path):
    generated = small(tmp_path / "generated", emotions=("anger",), seed=3)
    emodb = small(tmp_path / "emodb", emotions=("anger",), seed=3, layout="emodb")
    found = [
        hashlib.sha256((folder / "wav" / name).read_bytes()).hexdigest()[:16]
        for folder, name in ((generated, "f01_anger_00.wav"), (emodb, "03a01Wa.wav"))
    ]
    assert found == ["d4a1496fb282e992", "54e83e1c6696986d"]  # of version 1 as it was first committed


@pytest.mark.parametrize(
    "options, message",
    [
        ({"speakers": 1}, "speakers"),
        ({"speakers": ["f01", "f01"]}, "speakers .* each once"),
        ({"speakers": ["03", "17"], "layout": "emodb"}, "speakers must be of 03"),
        ({"emotions": ("joy",)}, "emotions must be of anger"),
        ({"utterances_per_speaker_and_emotion": 9, "layout": "ravdess", "emotions": ("calm",)}, "must be 1 to 8"),
        ({"layout": "tess"}, "layout must be one of generated, emodb, ravdess, crema-d, iemocap"),
    ],
)
def test_impossible_corpora_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        small(tmp_path / "c", **options)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_utterance_of_a_layout_has_a_path_of_its_own_and_an_acting(layout):
    every = product(layout.speakers, layout.labels, range(layout.most))
    names = [Path(path).stem for one in every if (path := layout.path(*one))]
    assert len(set(names)) == len(names) > 0 and set(layout.labels.values()) <= set(ACTINGS)
    assert set(layout.speakers.values()) == {"female", "male"}


@pytest.mark.parametrize("consonant", ["nasal", "fricative", "stop", "none"])
@pytest.mark.parametrize("hz", [50.0, 600.0])
def test_every_sound_is_finite_and_in_range(consonant, hz):
    sentence = tuple(Syllable(consonant, vowel, 1.0) for vowel in "aeiou@")
    loud = VoiceSettings(hz, jitter=0.1, shimmer=0.5, breath=1.0, level_db=25.0, range_st=12.0, slope_st=0.0)
    waveform = speak(sentence, loud, np.random.default_rng(0))
    assert np.isfinite(waveform).all() and np.abs(waveform).max() < 1.0 and waveform.dtype == np.float32
