"""Speech is detected in noise, and noise is not taken for speech."""

import numpy as np
import pytest
from scipy.signal import lfilter, resample_poly

from akd_toolkit.data.audio import read_audio
from akd_toolkit.inference.activity import EnergyActivity, SileroActivity

FRAME, HANGOVER = 320, 10  # of energy: samples, and frames
COUNT = 64000
SECONDS = np.arange(COUNT) / 16000
NOISES = {
    "digital zeros": np.zeros(COUNT),
    "dither": np.random.default_rng(0).integers(-1, 2, COUNT) / 2**15,
    "constant": np.full(COUNT, 0.5),
    "white": np.random.default_rng(1).normal(0, 0.1, COUNT),
    "brown": lfilter([0.02], [1, -0.999], np.random.default_rng(2).normal(0, 0.2, COUNT)),
    "click": np.where(np.arange(COUNT) == 30000, 0.9, 0.0),
    "hum 50 Hz": 0.3 * np.sin(2 * np.pi * 50 * SECONDS),
    "hum 60 Hz, overtones": sum(0.3 * np.sin(2 * np.pi * 60 * k * SECONDS) / k for k in range(1, 9)),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * SECONDS),
}


def noise(seconds, level_db, seed=0):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    return (samples * 10 ** (level_db / 20)).astype(np.float32)


@pytest.mark.parametrize("sound", [np.zeros(32000, np.float32), np.full(32000, 0.5, np.float32), noise(5, -70)])
def test_silence_an_offset_and_faint_noise_are_not_speech(sound):
    assert not EnergyActivity().push(sound).any()


def test_the_floor_follows_rising_noise_within_seconds():
    active = EnergyActivity().push(np.concatenate([noise(5, -60), noise(10, -40)]))
    assert not active[50:250].any()
    # The floor climbs from -60 to within 6 dB of -40 at 3 dB a second: 14 / 3 = 4.7 s; and the hangover.
    assert active[250:470].all() and not active[250 + 260 :].any()


@pytest.mark.parametrize("name", NOISES)
def test_silero_does_not_take_noise_for_speech(name):
    assert not SileroActivity().push(NOISES[name].astype(np.float32)).any()


@pytest.mark.parametrize("kind", [SileroActivity, EnergyActivity])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_voice_within_silence_is_detected(talk, kind, rate):
    detector = kind(rate)
    sound = np.concatenate([np.zeros(16000), talk[:64000], np.zeros(16000)])
    active = detector.push(resample_poly(sound, rate, 16000).astype(np.float32))
    start, end = (round(seconds / detector.frame_s) for seconds in (1, 5))
    assert active[start + 3 : end - 3].mean() > 0.9
    assert not active[: start - 2].any() and not active[round(5.4 / detector.frame_s) :].any()


@pytest.mark.parametrize("detector", [SileroActivity, EnergyActivity])
@pytest.mark.parametrize("seed", range(2))
def test_the_result_does_not_depend_on_the_pieces(talk, detector, seed):
    sound = np.concatenate([talk[:50000], np.zeros(20000), talk[50000:90000]]).astype(np.float32)
    whole = detector().push(sound)
    random = np.random.default_rng(seed)
    cuts = np.cumsum(random.integers(0, 10 ** random.integers(1, 5), len(sound)))
    in_pieces = detector()
    parts = [in_pieces.push(part) for part in np.split(sound, cuts[cuts < len(sound)])]
    assert np.concatenate(parts).tolist() == whole.tolist() and len(whole) == int(
        len(sound) / 16000 / detector().frame_s
    )
    in_pieces.reset()
    assert in_pieces.push(sound).tolist() == whole.tolist() and in_pieces.push(sound[:0]).shape == (0,)


def test_silero_detects_quiet_and_shouted_speech(shared_folder):
    folder = shared_folder / "data/RAVDESS"
    files = [file for actor in ("06", "09", "20") for file in sorted((folder / f"Actor_{actor}").glob("*.flac"))[::6]]
    assert len(files) == 30
    assert sum(SileroActivity().push(read_audio(file)).any() for file in files) >= 29


def test_only_a_burst_has_a_hangover():
    click, word = noise(1, -60), noise(1, -60)
    click[8000 : 8000 + FRAME] = noise(0.02, -20)
    word[8000 : 8000 + 3 * FRAME] = noise(0.06, -20)
    assert EnergyActivity().push(click).sum() == 1
    assert EnergyActivity().push(word).sum() == 3 + HANGOVER
    assert EnergyActivity().push(noise(1, -20)).all()  # a stream may begin within speech
