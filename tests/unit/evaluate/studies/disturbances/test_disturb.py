"""Every disturbance against its own formula, and all of them against their common promises."""

import numpy as np
import pytest
from scipy.signal import welch

from akd_toolkit.evaluate.studies.disturbances import CODECS, NOISES, disturb
from akd_toolkit.evaluate.studies.disturbances.babble import babble
from akd_toolkit.evaluate.studies.disturbances.codec import through_codec
from akd_toolkit.evaluate.studies.disturbances.coloured import coloured_noise
from akd_toolkit.evaluate.studies.disturbances.mixing import active_rms, snr_db
from akd_toolkit.evaluate.studies.disturbances.reverberation import impulse_response, measured_t60, reverberate

RATE = 16000
KINDS = [*((kind, 10.0) for kind in NOISES), ("reverberation", 0.6), *((codec, None) for codec in CODECS)]


@pytest.fixture
def speech():
    random = np.random.default_rng(3)
    return (0.05 * random.standard_normal(20001) * (np.arange(20001) % 6000 < 5000)).astype(np.float32)


@pytest.fixture
def voices():
    random = np.random.default_rng(4)
    return {f"s{n}": [random.standard_normal(5000 + 700 * n) * (n + 1) for _ in range(2)] for n in range(8)}


@pytest.mark.parametrize(("kind", "level"), KINDS)
def test_a_disturbance_keeps_length_and_range_and_is_the_same_every_time(kind, level, speech, voices):
    before = speech.copy()
    one, again = (disturb(speech, kind, level, "a1", voices) for _ in range(2))
    assert one.shape == speech.shape and one.dtype == np.float32 and np.abs(one).max() <= 1
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(speech, before)
    assert np.isfinite(one).all() and np.abs(one - speech).max() > 1e-4
    other = disturb(speech, kind, level, "a2", voices)
    assert np.array_equal(other, one) == (kind in CODECS)  # only codecs have nothing to draw


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("wanted", [20.0, 5.0, 0.0])
def test_noise_has_the_wanted_ratio_and_is_the_same_noise_at_every_ratio(kind, wanted, speech, voices):
    added = disturb(speech, kind, wanted, "a1", voices).astype(float) - speech
    assert snr_db(speech, added) == pytest.approx(wanted, abs=0.01)
    at_ten = disturb(speech, kind, 10.0, "a1", voices).astype(float) - speech
    np.testing.assert_allclose(added * 10 ** ((wanted - 10) / 20), at_ten, atol=1e-6)


@pytest.mark.parametrize("kind", NOISES)
def test_without_noise_the_speech_is_bit_identical(kind, speech, voices):
    assert disturb(speech, kind, np.inf, "a1", voices) is speech
    assert disturb(speech, "clean", None, "a1") is speech


def test_an_unknown_kind_is_refused(speech):
    with pytest.raises(ValueError, match=r"kind must be one of clean, white, .* got 'rain'"):
        disturb(speech, "rain", 0.0, "a1")


@pytest.mark.parametrize(("colour", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_the_power_density_falls_as_the_colour_says(colour, slope):
    noise = coloured_noise(colour, 60 * RATE, np.random.default_rng(5))
    hz, density = welch(noise, RATE, nperseg=8192)
    part = (hz > 100) & (hz < 7000)
    octaves = np.log2(hz[part])
    assert np.polyfit(octaves, 10 * np.log10(density[part]), 1)[0] == pytest.approx(slope, abs=0.1)


def test_babble_is_the_sum_of_voices_of_equal_loudness():
    """By hand: each speaker has one utterance of one value, so that each voice is that value over its size."""
    voices = {"a": [np.full(50, 0.2)], "b": [np.full(60, -0.7)], "c": [np.full(70, 3.0)]}
    np.testing.assert_allclose(babble(voices, 100, np.random.default_rng(0), count=3), np.full(100, 1.0))
    twice = babble(voices, 10, np.random.default_rng(0), count=6)  # fewer speakers than voices: each comes twice
    np.testing.assert_allclose(twice, np.full(10, 2.0))


def test_babble_takes_different_speakers_where_there_are_enough():
    time = np.arange(RATE) / RATE
    voices = {str(n): [np.sin(2 * np.pi * 100 * n * time)] * 3 for n in range(1, 10)}  # speaker n hums at n * 100 Hz
    spectrum = np.abs(np.fft.rfft(babble(voices, RATE, np.random.default_rng(1)))) / RATE
    heard = spectrum[100:1000:100]
    assert (heard > 0.5).sum() == 6 and (heard < 0.01).sum() == 3
    np.testing.assert_allclose(heard[heard > 0.5], 0.5**0.5, rtol=1e-3)  # rms 1 is an amplitude of sqrt 2


def test_babble_of_nobody_is_refused(speech):
    with pytest.raises(ValueError, match="at least one other speaker"):
        disturb(speech, "babble", 10.0, "a1", {})


@pytest.mark.parametrize("t60", [0.3, 0.6, 1.0])
def test_the_reverberation_time_measured_from_the_decay_is_the_wanted_one(t60):
    found = [measured_t60(impulse_response(t60, np.random.default_rng(seed))) for seed in range(10)]
    assert np.mean(found) == pytest.approx(t60, rel=0.02)
    assert np.max(np.abs(np.array(found) / t60 - 1)) < 0.08


def test_direct_sound_and_tail_have_equal_energy_and_the_tail_has_fallen_by_60_db():
    response = impulse_response(0.6, np.random.default_rng(6))
    assert response[0] == 1 and (response[1:] ** 2).sum() == pytest.approx(1.0)
    early, late = (np.sqrt(np.mean(response[part] ** 2)) for part in (slice(1, 401), slice(-400, None)))
    # 400 samples are 0.025 s, so that the middles of both parts lie 0.575 s apart
    assert 20 * np.log10(early / late) == pytest.approx(60 * 0.575 / 0.6, abs=1.5)


def test_reverberated_speech_is_as_loud_as_before_and_starts_with_it(speech):
    wet = reverberate(speech, 0.3, np.random.default_rng(7))
    assert active_rms(wet) == pytest.approx(active_rms(speech), rel=1e-6)
    click = np.zeros(3000)
    click[100] = 0.5
    naive = np.convolve(click, impulse_response(0.1, np.random.default_rng(8)))[:3000]
    wet = reverberate(click, 0.1, np.random.default_rng(8))
    np.testing.assert_allclose(wet / wet[100], naive / naive[100], atol=1e-9)


def test_a_reverberation_time_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"t60_s must be above 0 s, got 0\."):
        impulse_response(0.0, np.random.default_rng(0))


@pytest.mark.parametrize("codec", CODECS)
def test_a_telephone_passes_speech_below_4_khz_and_nothing_above(codec):
    time = np.arange(RATE) / RATE
    low, high = (0.1 * np.sin(2 * np.pi * hz * time) for hz in (600, 5500))
    heard = through_codec(low + high, codec)
    spectrum = np.abs(np.fft.rfft(heard)) / len(heard)
    assert spectrum[600] == pytest.approx(0.05, rel=0.2) and spectrum[5500] < 0.001


def test_mu_law_errs_as_a_codec_of_eight_bits_does(speech):
    narrow, coded = (through_codec(speech, codec) for codec in ("8 kHz", "G.711"))
    ratio = 10 * np.log10(np.mean(narrow**2) / np.mean((coded - narrow) ** 2))
    assert 33 < ratio < 41  # ITU-T G.711: 38 dB for sines over a wide range of levels


def test_the_codec_does_not_mind_how_loud_the_recording_is(speech):
    np.testing.assert_allclose(through_codec(speech / 100, "GSM") * 100, through_codec(speech, "GSM"), atol=1e-4)


def test_an_unknown_codec_is_refused(speech):
    with pytest.raises(ValueError, match=r"codec must be one of 8 kHz, G\.711, GSM, got 'AMR'"):
        through_codec(speech, "AMR")
