import hashlib
import math

import numpy as np
import pytest

from akd_toolkit.data.audio_store import ViewSettings, make_view

STILL = {"speed_low": 1.0, "speed_high": 1.0, "tilt_db": 0.0, "bump_db": 0.0, "gain_db": 0.0, "snr_db": None}


def test_a_view_is_the_same_in_every_run_and_differs_from_others(tone):
    clean = tone(1.0)
    assert make_view(clean, 0, "a", seed=0) is clean
    first = make_view(clean, 1, "a", seed=0)
    np.testing.assert_array_equal(make_view(clean, 1, "a", seed=0), first)
    others = [make_view(clean, 2, "a", 0), make_view(clean, 1, "b", 0), make_view(clean, 1, "a", 1)]
    assert len({len(first), *map(len, others)}) == 4 and first.dtype == np.float32
    np.testing.assert_array_equal(clean, tone(1.0))


@pytest.mark.parametrize("view", [1, 2, 3])
def test_speed_is_the_first_draw_of_a_generator_keyed_by_seed_utterance_and_view(tone, view):
    # Stored teacher features rely on these draws: if they change, so must the key of the stores.
    key = hashlib.sha256(f"7|03a01Fa|{view}".encode()).digest()[:8]
    draw = np.random.default_rng(int.from_bytes(key, "little")).uniform(size=7)[0]
    percent = round(80 * (1.25 / 0.8) ** draw)
    assert len(make_view(tone(1.0), view, "03a01Fa", seed=7)) == math.ceil(1600000 / percent)


def test_faster_playback_is_shorter_and_higher(tone):
    fast = make_view(tone(1.0), 1, "a", 0, ViewSettings(speed_low=1.1, speed_high=1.1))
    assert len(fast) == math.ceil(16000 / 1.1)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast))))
    assert np.argmax(spectrum) * 16000 / len(fast) == pytest.approx(440 * 1.1, abs=2.0)


def test_with_everything_off_a_view_is_the_clean_waveform(tone):
    np.testing.assert_allclose(make_view(tone(), 1, "a", 0, ViewSettings(**STILL)), tone(), atol=1e-6)


def test_about_half_of_the_views_get_noise_at_the_given_level(tone):
    settings, clean = ViewSettings(**{**STILL, "snr_db": 20.0}), tone(2.0).astype(float)
    levels = []
    for view in range(1, 60):
        copy = make_view(tone(2.0), view, "a", 0, settings).astype(float)
        noise = copy - clean * (copy @ clean) / (clean @ clean)  # the peak is restored, which changes the level
        levels.append(10 * np.log10(np.mean(clean**2) / max(np.mean(noise**2), 1e-12)))
    noisy = [level for level in levels if level < 60]
    assert 15 < len(noisy) < 45 and min(noisy) > 19.0 and max(noisy) < 46.0


@pytest.mark.parametrize("num_samples", [1600, 1700])
def test_a_short_utterance_never_becomes_shorter_than_a_tenth_of_a_second(num_samples):
    fastest = ViewSettings(speed_low=2.0, speed_high=2.0)
    assert len(make_view(np.full(num_samples, 0.1, np.float32), 1, "a", 0, fastest)) >= 1600


def test_the_fingerprint_depends_on_every_setting_and_is_that_of_earlier_stores():
    assert ViewSettings().fingerprint == "a0273d8e276a"
    assert len({ViewSettings().fingerprint, ViewSettings(gain_db=1.0).fingerprint, ViewSettings(1.0).fingerprint}) == 3
