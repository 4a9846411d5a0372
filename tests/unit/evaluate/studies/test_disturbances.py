"""Each disturbance against its formula, and all of them against what they have in common."""

import numpy as np
import pytest
from scipy.signal import welch

from akd_toolkit.evaluate.studies.disturbances import (
    CODECS,
    NOISES,
    active,
    active_rms,
    babble,
    coloured_noise,
    disturb,
    impulse_response,
    reverberate,
    snr_db,
    through_codec,
)

RATE = 16000
KINDS = [*((kind, 10.0) for kind in NOISES), ("reverberation", 0.6), *((codec, None) for codec in CODECS)]


@pytest.fixture
def speech():
    """0.3 s of noise and 0.06 s of pause, in turn."""
    random = np.random.default_rng(3)
    return (0.05 * random.standard_normal(20001) * (np.arange(20001) % 6000 < 5000)).astype(np.float32)


@pytest.fixture
def voices():
    random = np.random.default_rng(4)
    return {f"s{n}": [random.standard_normal(5000 + 700 * n) * (n + 1) for _ in range(2)] for n in range(8)}


@pytest.mark.parametrize("kind, level", KINDS)
def test_a_disturbance_keeps_length_and_range_and_is_the_same_every_time(kind, level, speech, voices):
    before = speech.copy()
    first, second, other = (disturb(speech, kind, level, name, voices) for name in ("a1", "a1", "a2"))
    assert first.shape == speech.shape and first.dtype == np.float32 and np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(speech, before)
    assert np.isfinite(first).all() and np.abs(first - speech).max() > 1e-4
    assert np.array_equal(other, first) == (kind in CODECS)  # nothing is drawn for codecs


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_the_wanted_snr_and_is_the_same_noise_at_every_snr(kind, speech, voices):
    assert disturb(speech, kind, np.inf, "a1", voices) is speech
    added = {snr: disturb(speech, kind, snr, "a1", voices).astype(float) - speech for snr in (20.0, 5.0, 0.0)}
    for snr, noise in added.items():
        assert snr_db(speech, noise) == pytest.approx(snr, abs=0.01)
        np.testing.assert_allclose(noise * 10 ** ((snr - 20) / 20), added[20.0], atol=1e-6)


def test_the_snr_is_over_frames_within_40_db_of_the_loudest():
    random = np.random.default_rng(1)
    mask = np.repeat([False, True, False], [8000, 16000, 4000])
    speech = (0.2 * mask * random.standard_normal(28000) + 1e-5 * np.sin(np.arange(28000))).astype(np.float32)
    assert np.array_equal(active(speech), mask)
    noise = disturb(speech, "white", 10.0, "a1").astype(float) - speech
    by_hand = np.mean(speech[mask].astype(float) ** 2) / np.mean(noise[mask] ** 2)
    assert 10 * np.log10(by_hand) == pytest.approx(10.0, abs=0.01)
    assert active(np.full(410, 0.5)).all()  # the last frame may be short
    assert not active(np.zeros(1000)).any() and active_rms(np.zeros(1000)) == 0


@pytest.mark.parametrize("colour, slope", [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_the_power_density_falls_as_the_colour_says(colour, slope):
    noise = coloured_noise(colour, 60 * RATE, np.random.default_rng(5))
    hz, density = welch(noise, RATE, nperseg=8192)
    part = (hz > 100) & (hz < 7000)
    assert np.polyfit(np.log2(hz[part]), 10 * np.log10(density[part]), 1)[0] == pytest.approx(slope, abs=0.1)


def test_babble_is_the_sum_of_voices_of_equal_loudness():
    """Each speaker has one utterance of one value, so each voice is 1 or -1."""
    voices = {"a": [np.full(50, 0.2)], "b": [np.full(60, -0.7)], "c": [np.full(70, 3.0)]}
    np.testing.assert_allclose(babble(voices, 100, np.random.default_rng(0), count=3), np.full(100, 1.0))
    repeated = babble(voices, 10, np.random.default_rng(0), count=6)  # fewer speakers than voices: each twice
    np.testing.assert_allclose(repeated, np.full(10, 2.0))


@pytest.mark.parametrize("t60", [0.3, 0.6, 1.0])
def test_the_tail_of_a_room_falls_by_60_db_in_t60(t60):
    """Schroeder 1965: backward integration; the slope between -5 and -35 dB, T30 of ISO 3382-1."""
    found = []
    for seed in range(10):
        response = impulse_response(t60, np.random.default_rng(seed))
        left_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / (response**2).sum())
        part = np.flatnonzero((left_db <= -5) & (left_db >= -35))
        found.append(-60 / np.polyfit(part / RATE, left_db[part], 1)[0])
    assert np.mean(found) == pytest.approx(t60, rel=0.02)
    assert response[0] == 1 and (response[1:] ** 2).sum() == pytest.approx(1)


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_passes_speech_below_4_khz_and_nothing_above(codec):
    time = np.arange(RATE) / RATE
    low, high = (0.1 * np.sin(2 * np.pi * hz * time) for hz in (600, 5500))
    spectrum = np.abs(np.fft.rfft(through_codec(low + high, codec))) / RATE
    assert spectrum[600] == pytest.approx(0.05, rel=0.2) and spectrum[5500] < 0.001


@pytest.mark.parametrize(
    "kind, level, key", [("rain", 0.0, "rain"), ("babble", 0.0, "speaker"), ("reverberation", 0, "t60_s")]
)
def test_bad_input_is_refused(speech, kind, level, key):
    with pytest.raises(ValueError, match=key):
        disturb(speech, kind, level, "a1", {})


def test_reverberated_speech_is_convolved_and_as_loud_as_before(speech):
    wet = reverberate(speech, 0.3, np.random.default_rng(7))
    assert active_rms(wet) == pytest.approx(active_rms(speech), rel=1e-6)
    naive = np.convolve(speech, impulse_response(0.3, np.random.default_rng(7)))[: len(speech)]
    np.testing.assert_allclose(wet / wet[0], naive / naive[0], rtol=1e-6, atol=1e-6)
