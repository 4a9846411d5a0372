import numpy as np
import pytest

from akd_toolkit.data.voice import Syllable, VoiceSettings, random_sentence, speak

PLAIN = {"range_st": 0.0, "slope_st": 0.0, "jitter": 0.0, "shimmer": 0.0, "breath": 0.0}
VOWELS = tuple(Syllable("none", "a", stress=0.5) for _ in range(6))


def say(sentence=VOWELS, seed=0, **settings):
    return speak(sentence, VoiceSettings(**{**PLAIN, **settings}), np.random.default_rng(seed))


def pitch_hz(waveform):
    """Strongest period between 60 and 400 Hz by autocorrelation."""
    spectrum = np.abs(np.fft.rfft(waveform, 2 * len(waveform))) ** 2
    correlation = np.fft.irfft(spectrum)
    lags = np.arange(40, 267)
    return 16000 / lags[np.argmax(correlation[lags])]


@pytest.mark.parametrize("hz", [100.0, 160.0, 220.0])
def test_the_voice_has_the_pitch_it_was_given(hz):
    # Pitch still wanders a little, as in speech; range 0 stops that too.
    assert pitch_hz(say(pitch_hz=hz)) == pytest.approx(hz, rel=0.02)


@pytest.mark.parametrize("consonant", ["nasal", "fricative", "stop", "none"])
@pytest.mark.parametrize("hz", [50.0, 600.0])
def test_every_sound_is_finite_and_in_range(consonant, hz):
    sentence = tuple(Syllable(consonant, vowel, 1.0) for vowel in "aeiou@")
    waveform = say(sentence, pitch_hz=hz, jitter=0.1, shimmer=0.5, breath=1.0, level_db=25.0, range_st=12.0)
    assert np.isfinite(waveform).all() and np.abs(waveform).max() < 1.0 and waveform.dtype == np.float32


def test_level_and_tempo_are_as_set():
    soft, loud = say(level_db=-6.0206), say(level_db=0.0)
    assert np.sqrt((loud**2).mean() / (soft**2).mean()) == pytest.approx(2.0, rel=0.01)
    assert len(say(tempo=1.0)) == 6 * 3200 and len(say(tempo=2.0)) == 6 * 1600


def test_the_same_generator_says_the_same():
    sentence = random_sentence(np.random.default_rng(1))
    np.testing.assert_array_equal(say(sentence, jitter=0.02), say(sentence, jitter=0.02))
    assert (say(sentence, jitter=0.02, seed=1) != say(sentence, jitter=0.02)).any()
    assert 6 <= len(sentence) <= 8
