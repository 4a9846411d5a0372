"""The sound of a corpus, written once and read from disk."""

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.array_store import CHUNK, stored_arrays
from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.audio_store import VIEW_SEED, AudioStore, ViewSettings, make_view
from akd_toolkit.data.manifest import Manifest, Utterance


@pytest.fixture
def corpus(tmp_path):
    """Twenty recordings of different lengths, each fourth at 44.1 kHz, each fifth in stereo."""
    rows = []
    for number in range(20):
        rate, channels = 44100 if number % 4 == 3 else 16000, 2 if number % 5 == 4 else 1
        samples = np.random.default_rng(number).uniform(-0.4, 0.4, (rate // 2 + 7 * number, channels))
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, samples, rate)
        rows.append(
            Utterance(f"u{number}", str(path), 0, len(samples), len(samples) / rate, "A", "joy", sha256=f"{number}")
        )
    return Manifest("noise", ("joy",), tuple(rows))


def test_16_bit_recordings_at_16_khz_come_back_bit_for_bit(corpus, tmp_path):
    store = AudioStore(corpus, tmp_path / "store", progress=False)
    for row in corpus:
        expected, found = read_audio(row.wav), store.waveform(row.id)
        if int(row.id[1:]) % 4 != 3 and int(row.id[1:]) % 5 != 4:
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, atol=0.51 / 2**15)
        assert found.dtype == np.float32


def test_views_are_those_of_make_view(corpus, tmp_path):
    settings = ViewSettings(gain_db=3.0)
    store = AudioStore(corpus, tmp_path / "store", settings, progress=False)
    for utterance_id in ("u0", "u3", "u19"):
        expected = make_view(store.waveform(utterance_id), 2, utterance_id, VIEW_SEED, settings)
        np.testing.assert_allclose(store.waveform(utterance_id, 2), expected, atol=0.51 / 2**15)


def test_what_is_stored_is_read_without_the_recordings_and_other_settings_make_new_views(corpus, tmp_path):
    first = AudioStore(corpus, tmp_path / "store", progress=False)
    first.prepare(2)
    waveform, view = first.waveform("u1"), first.waveform("u1", 1)
    for row in corpus:
        (tmp_path / f"{row.id[1:]}.wav").unlink()
    again = AudioStore(corpus, tmp_path / "store", progress=False)
    np.testing.assert_array_equal(again.waveform("u1"), waveform)
    np.testing.assert_array_equal(again.waveform("u1", 1), view)
    other = AudioStore(corpus, tmp_path / "store", ViewSettings(speed_low=1.25), progress=False)
    assert len(other.waveform("u1", 1)) < len(view)


def test_two_workers_write_the_bytes_of_one(corpus, tmp_path):
    for jobs in (1, 2):
        AudioStore(corpus, tmp_path / f"{jobs}", progress=False).prepare(2, jobs=jobs)
    files = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.npy"))
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


IDS = [str(index) for index in range(6 * CHUNK)]


def describe(ids):
    return {"numbers": np.array([float(name) for name in ids])}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_computation_leaves_nothing_that_the_next_one_stumbles_over(jobs, tmp_path):
    parts = tmp_path / "store" / ".toy.numbers.parts"
    parts.mkdir(parents=True)
    (parts / "describe.pickle").write_bytes(b"torn")
    arrays = stored_arrays(tmp_path / "store", "toy", IDS, ["numbers"], describe, "toy", jobs=jobs, progress=False)
    assert arrays["numbers"].tolist() == [float(name) for name in IDS] and not parts.exists()
