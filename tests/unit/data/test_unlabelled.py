import numpy as np
import pytest
import soundfile
from corpora import write_corpus

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.unlabelled import (
    Source,
    find_unlabelled,
    limited,
    mixture,
    prepare_mixtures,
    prepare_unlabelled,
)


@pytest.fixture
def spoken(tmp_path):
    """A folder with two recordings: half a second of tone between quiet, in subfolders."""
    rng = np.random.default_rng(0)
    for name in ("a/one.wav", "b/deep/two.ogg"):
        path = tmp_path / "speech" / name
        path.parent.mkdir(parents=True)
        tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(8000) / 16000)
        quiet = 1e-4 * rng.standard_normal(16000)
        soundfile.write(path, np.concatenate([quiet, tone, quiet]), 16000)
    return tmp_path / "speech"


def test_any_folder_is_read_at_any_depth_without_labels_and_silence_around_the_speech(spoken, tmp_path):
    manifest = prepare_unlabelled(spoken, tmp_path / "store", progress=False)
    assert manifest.ids == ("a/one.wav", "b/deep/two.ogg") and manifest.label_order == ("unlabelled",)
    for row in manifest:
        assert row.start == pytest.approx(16000 - 1600, abs=900) and row.stop == pytest.approx(24000 + 1600, abs=900)
        assert row.duration == pytest.approx(0.7, abs=0.1)


def test_the_unlabelled_speech_of_an_experiment_is_found_in_a_store(spoken, tmp_path):
    manifest = prepare_unlabelled(spoken, tmp_path / "results/store", progress=False)
    (tmp_path / "results/store/damaged").mkdir()
    (tmp_path / "results/store/damaged/manifest.json").write_text("{")
    for experiment in ("results", "results/akd", "results/ablation/deep/row"):
        assert find_unlabelled(tmp_path / experiment, manifest.hash) == manifest
    assert find_unlabelled(tmp_path / "results/a/b/c/d", manifest.hash) is None
    assert find_unlabelled(tmp_path / "results/akd", "other") is None


def test_bad_files_are_left_out_and_counted_unless_all_are_bad(spoken, tmp_path, caplog):
    good = prepare_unlabelled(spoken, tmp_path / "store", progress=False)
    (spoken / "cut.wav").write_bytes((spoken / "a/one.wav").read_bytes()[:5000])
    soundfile.write(spoken / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(spoken / "short.wav", np.full(100, 0.1), 16000)
    with caplog.at_level("WARNING"):
        assert prepare_unlabelled(spoken, tmp_path / "store", progress=False).ids == good.ids
    assert "3 of 5 files" in caplog.text and "cut.wav" in caplog.text
    for name in ("a/one.wav", "b/deep/two.ogg"):
        (spoken / name).unlink()
    with pytest.raises(ValueError, match="3 of 3 files"):
        prepare_unlabelled(spoken, tmp_path / "store", progress=False)


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(1)
    speech = [
        (f"{speaker}{number}", speaker, "sad", 0.3 * rng.standard_normal(6000 + 1000 * number))
        for speaker in "AB"
        for number in range(3)
    ]
    return write_corpus(tmp_path, speech, ("sad",), "toy")


def test_mixtures_keep_their_speaker_and_are_made_once(corpus, tmp_path):
    first = prepare_mixtures(corpus, tmp_path / "store", progress=False)
    assert [row.speaker for row in first] == [row.speaker for row in corpus] * 2
    times = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav"))
    assert prepare_mixtures(corpus, tmp_path / "store", progress=False).hash == first.hash
    assert times == sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav"))
    # A fold that tests speaker B takes none of its speech.
    assert {row.id[0] for row in first.of(["A"])} == {"A"}


def test_a_mixture_is_the_same_in_every_run_and_differs_between_copies():
    rng = np.random.default_rng(2)
    waveforms = {name: 0.2 * rng.standard_normal(8000).astype(np.float32) for name in "abc"}
    one, same, other = (mixture(waveforms.get, list("abc"), "a", copy) for copy in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert len(one) != len(other) or not np.allclose(one, other)
    assert np.abs(one).max() <= 1.0 and len(one) <= 6 * 16000


def test_speakers_come_from_a_table_in_the_folder_and_carry_its_name(spoken, tmp_path):
    (spoken / "manifest.csv").write_text("file,speaker,emotion\na/one.wav,03,joy\n")
    manifest = prepare_unlabelled(spoken, tmp_path / "store", progress=False)
    assert [row.speaker for row in manifest] == ["speech/03", "unlabelled"]
    (spoken / "manifest.csv").write_text("file,speaker,emotion\na/one.wav,04,joy\n")
    assert prepare_unlabelled(spoken, tmp_path / "store", progress=False).hash != manifest.hash


def test_a_limit_takes_the_same_utterances_again_and_spreads_them_over_speakers():
    names = [f"{speaker}{number}" for speaker in "abc" for number in range(1 if speaker == "c" else 20)]
    rows = [Utterance(name, "/x.wav", 0, 1, 1.0, speaker=name[0], emotion="unlabelled") for name in names]
    manifest = Manifest("pool", ("unlabelled",), tuple(rows))
    few = limited(manifest, 7)
    assert [sum(row.speaker == name for row in few) for name in "abc"] == [3, 3, 1]
    assert few == limited(manifest, 7) and limited(manifest, 1000) is manifest


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"limit": 0}, {"standardise": 1.5}])
def test_wrong_uses_of_a_source_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Source(**options)
