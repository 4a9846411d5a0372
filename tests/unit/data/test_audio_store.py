"""The sound of a corpus, written once and read from disk, and the augmented copies that are stored with it."""

import hashlib
import math

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.array_store import CHUNK, stored_arrays
from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.audio_store import VIEW_SEED, AudioStore, ViewSettings, make_view
from akd_toolkit.data.manifest import Manifest, Utterance

STILL = {"speed_low": 1.0, "speed_high": 1.0, "tilt_db": 0.0, "bump_db": 0.0, "gain_db": 0.0, "snr_db": None}
ROUNDING = 0.51 / 2**15


@pytest.fixture
def corpus(tmp_path):
    """Twenty recordings of different lengths, each fourth at 44.1 kHz, each fifth in stereo."""
    rows = []
    for number in range(20):
        rate, channels = 44100 if number % 4 == 3 else 16000, 2 if number % 5 == 4 else 1
        samples = np.random.default_rng(number).uniform(-0.4, 0.4, (rate // 2 + 7 * number, channels))
        soundfile.write(tmp_path / f"{number}.wav", samples, rate)
        span = (0, len(samples), len(samples) / rate)
        rows.append(Utterance(f"u{number}", str(tmp_path / f"{number}.wav"), *span, "A", "joy", sha256=f"{number}"))
    return Manifest("noise", ("joy",), tuple(rows))


def test_stored_sound_is_that_of_the_files_and_views_are_those_of_make_view(corpus, tmp_path):
    settings = ViewSettings(gain_db=3.0)
    store = AudioStore(corpus, tmp_path / "store", settings, progress=False)
    for row in corpus:
        expected, found, number = read_audio(row.wav), store.waveform(row.id), int(row.id[1:])
        exact = number % 4 != 3 and number % 5 != 4  # 16 kHz mono, which comes back bit for bit
        np.testing.assert_allclose(found, expected, rtol=0, atol=0 if exact else ROUNDING)
        assert found.dtype == np.float32
    for name in ("u0", "u3", "u19"):
        expected = make_view(store.waveform(name), 2, name, VIEW_SEED, settings)
        np.testing.assert_allclose(store.waveform(name, 2), expected, atol=ROUNDING)


def test_what_is_stored_is_read_without_the_recordings_and_other_settings_make_new_views(corpus, tmp_path):
    first, again, other = (
        AudioStore(corpus, tmp_path / "store", settings, progress=False)
        for settings in (ViewSettings(), ViewSettings(), ViewSettings(speed_low=1.25))
    )
    first.prepare(2)
    waveform, view = first.waveform("u1"), first.waveform("u1", 1)
    for row in corpus:
        (tmp_path / f"{row.id[1:]}.wav").unlink()
    np.testing.assert_array_equal(again.waveform("u1"), waveform)
    np.testing.assert_array_equal(again.waveform("u1", 1), view)
    assert len(other.waveform("u1", 1)) < len(view)


def test_two_workers_write_the_bytes_of_one(corpus, tmp_path):
    for jobs in (1, 2):
        AudioStore(corpus, tmp_path / f"{jobs}", progress=False).prepare(2, jobs=jobs)
    files = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.npy"))
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


def describe(ids):
    return {"numbers": np.array([float(name) for name in ids])}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_computation_leaves_nothing_that_the_next_one_stumbles_over(jobs, tmp_path):
    ids = [str(index) for index in range(6 * CHUNK)]
    parts = tmp_path / "store" / ".toy.numbers.parts"
    parts.mkdir(parents=True)
    (parts / "describe.pickle").write_bytes(b"torn")
    arrays = stored_arrays(tmp_path / "store", "toy", ids, ["numbers"], describe, "toy", jobs=jobs, progress=False)
    assert arrays["numbers"].tolist() == [float(name) for name in ids] and not parts.exists()


def test_a_view_is_the_same_in_every_run_and_differs_from_others(tone):
    clean = tone(1.0)
    assert make_view(clean, 0, "a", seed=0) is clean
    first = make_view(clean, 1, "a", seed=0)
    np.testing.assert_array_equal(make_view(clean, 1, "a", seed=0), first)
    others = [make_view(clean, 2, "a", 0), make_view(clean, 1, "b", 0), make_view(clean, 1, "a", 1)]
    assert len({len(first), *map(len, others)}) == 4 and first.dtype == np.float32
    np.testing.assert_array_equal(clean, tone(1.0))
    np.testing.assert_allclose(make_view(tone(), 1, "a", 0, ViewSettings(**STILL)), tone(), atol=1e-6)


@pytest.mark.parametrize("view", [1, 2, 3])
def test_speed_is_the_first_draw_of_a_generator_keyed_by_seed_utterance_and_view(tone, view):
    # Stored teacher features rely on these draws: if they change, so must the key of the stores.
    key = hashlib.sha256(f"7|03a01Fa|{view}".encode()).digest()[:8]
    draw = np.random.default_rng(int.from_bytes(key, "little")).uniform(size=7)[0]
    percent = round(80 * (1.25 / 0.8) ** draw)
    assert len(make_view(tone(1.0), view, "03a01Fa", seed=7)) == math.ceil(1600000 / percent)


def test_faster_playback_is_shorter_and_higher_but_never_shorter_than_a_tenth_of_a_second(tone):
    fast = make_view(tone(1.0), 1, "a", 0, ViewSettings(speed_low=1.1, speed_high=1.1))
    assert len(fast) == math.ceil(16000 / 1.1)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    assert np.argmax(spectrum) * 16000 / len(fast) == pytest.approx(440 * 1.1, abs=2.0)
    for num_samples in (1600, 1700):
        fastest = ViewSettings(speed_low=2.0, speed_high=2.0)
        assert len(make_view(np.full(num_samples, 0.1, np.float32), 1, "a", 0, fastest)) >= 1600


def test_about_half_of_the_views_get_noise_at_the_given_level(tone):
    settings, clean = ViewSettings(**{**STILL, "snr_db": 20.0}), tone(2.0).astype(float)
    levels = []
    for view in range(1, 60):
        copy = make_view(tone(2.0), view, "a", 0, settings).astype(float)
        noise = copy - clean * (copy @ clean) / (clean @ clean)  # the peak is restored, which changes the level
        levels.append(10 * np.log10(np.mean(clean**2) / max(np.mean(noise**2), 1e-12)))
    noisy = [level for level in levels if level < 60]
    assert 15 < len(noisy) < 45 and min(noisy) > 19.0 and max(noisy) < 46.0


def test_the_fingerprint_depends_on_every_setting_and_is_that_of_earlier_stores():
    assert ViewSettings().fingerprint == "a0273d8e276a"
    assert len({ViewSettings().fingerprint, ViewSettings(gain_db=1.0).fingerprint, ViewSettings(1.0).fingerprint}) == 3
