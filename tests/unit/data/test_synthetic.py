import hashlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from akd_toolkit.data.layouts import LAYOUTS
from akd_toolkit.data.manifest import load_waveforms
from akd_toolkit.data.synthetic import generate_corpus, prepare_generated
from akd_toolkit.data.voice import ACTINGS

SMALL = {"speakers": 2, "utterances_per_speaker_and_emotion": 1, "progress": False}


def small(folder, **options):
    return generate_corpus(folder, **{**SMALL, **options})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The corpus of the demonstration with half of its utterances."""
    folder = tmp_path_factory.mktemp("generated")
    return prepare_generated(folder, utterances_per_speaker_and_emotion=4, progress=False)


def log_mel_statistics(waveform):
    """Mean and deviation over time of 24 log bands, with NumPy alone."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 26)
    edges = 700 * (10 ** (mel / 2595) - 1) / 8000 * 256
    bins = np.arange(257)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands = np.log(power @ np.clip(np.minimum(rise, fall), 0, None) + 1e-6)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def test_it_is_neither_trivial_nor_hopeless_for_a_linear_classifier(corpus):
    manifest = corpus
    assert np.bincount(manifest.labels).tolist() == [32] * 4 and len(manifest.speakers) == 8
    waveforms = load_waveforms(manifest, progress=False)
    features = np.stack([log_mel_statistics(waveforms[name]) for name in manifest.ids])
    groups = [row.speaker[1:] for row in manifest]  # f01 with m01, ...
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=2000))
    predicted = cross_val_predict(classifier, features, manifest.labels, groups=groups, cv=GroupKFold(4))
    ua = np.mean([np.mean(predicted[manifest.labels == label] == label) for label in range(4)])
    assert 0.60 < ua < 0.88


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(tmp_path):
    first, again, other = (
        sorted((small(tmp_path / name, seed=seed) / "wav").iterdir()) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert [p.name for p in first] == [p.name for p in other]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, again))
    assert all(a.read_bytes() != c.read_bytes() for a, c in zip(first, other))


def test_a_larger_corpus_keeps_the_utterances_of_a_smaller_one(tmp_path):
    few = small(tmp_path / "few", emotions=("sadness",)) / "wav"
    many = small(tmp_path / "many", emotions=("anger", "sadness"), speakers=3, utterances_per_speaker_and_emotion=2)
    assert len(list(few.iterdir())) == 2
    assert all((many / "wav" / path.name).read_bytes() == path.read_bytes() for path in few.iterdir())


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
        ({"speakers": 11, "layout": "emodb"}, "speakers must be 2 to 10"),
        ({"speakers": ["f01", "f01"]}, "speakers .* each once"),
        ({"speakers": ["03", "17"], "layout": "emodb"}, "speakers must be of 03"),
        ({"speakers": ["03"], "layout": "emodb"}, "speakers"),
        ({"emotions": ("joy",)}, "emotions must be of anger"),
        ({"emotions": ()}, "emotions"),
        ({"emotions": ("fear", "fear")}, "each once"),
        ({"utterances_per_speaker_and_emotion": 0}, "must be 1 to 99"),
        ({"utterances_per_speaker_and_emotion": 9, "layout": "ravdess", "emotions": ("calm",)}, "must be 1 to 8"),
        ({"layout": "tess"}, "layout must be one of generated, emodb, ravdess, crema-d, iemocap"),
    ],
)
def test_impossible_corpora_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        small(tmp_path / "c", **options)


def every_path(layout):
    return [path for one in product(layout.speakers, layout.labels, range(layout.most)) if (path := layout.path(*one))]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_utterance_of_a_layout_has_a_path_of_its_own_and_an_acting(layout):
    names = [Path(path).stem for path in every_path(layout)]
    assert len(set(names)) == len(names) > 0 and set(layout.labels.values()) <= set(ACTINGS)
    assert set(layout.speakers.values()) == {"female", "male"}
