"""Statistics of log-mel energies: what they react to and what not."""

import numpy as np
import pytest

from akd_toolkit.teachers.logmel_statistics import LogMelStatistics, pitch

RATE = 16000


def harmonic(hz, seconds=1.0, tilt=1.0):
    time_s = np.arange(int(RATE * seconds)) / RATE
    return sum(np.sin(2 * np.pi * hz * k * time_s) / k**tilt for k in range(1, 12)) / 5


@pytest.mark.parametrize("hz", [80, 120, 210, 400])
def test_pitch_of_a_voice_with_overtones_is_found_within_one_percent(hz):
    found, periodicity = pitch(harmonic(hz))
    np.testing.assert_allclose(found, hz, rtol=0.01)
    assert periodicity.min() > 0.9
    _, periodicity = pitch(np.random.default_rng(0).standard_normal(RATE))
    assert np.median(periodicity) < 0.45  # noise is not voiced


def test_twice_the_level_adds_the_same_to_every_band_and_moves_nothing_else():
    noise = 0.3 * np.random.default_rng(0).standard_normal(RATE)
    spectrum = LogMelStatistics(num_mels=16, parts=["spectrum"])
    difference = (spectrum.features(2 * noise) - spectrum.features(noise))[0].reshape(5, 16)
    np.testing.assert_allclose(difference[[0, 2, 3, 4]], np.log(4), atol=1e-3)  # mean and percentiles
    np.testing.assert_allclose(difference[1], 0, atol=1e-3)  # deviation
    dynamics = LogMelStatistics(num_mels=16, parts=["dynamics"])
    np.testing.assert_allclose(dynamics.features(2 * noise), dynamics.features(noise), atol=1e-3)


def test_parts_are_pieces_of_the_whole():
    wave = harmonic(200)
    whole = LogMelStatistics(num_mels=16).features(wave)
    pieces = [
        LogMelStatistics(num_mels=16, parts=[part]).features(wave) for part in ("spectrum", "dynamics", "prosody")
    ]
    np.testing.assert_array_equal(whole, np.concatenate(pieces, axis=1))
    assert [piece.shape[1] for piece in pieces] == [80, 48, 26]
