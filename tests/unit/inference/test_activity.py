"""Voice is found in noise, and noise is not taken for voice."""

import numpy as np
import pytest

from akd_toolkit.data.audio import read_audio
from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.inference.activity import EnergyActivity

FRAME = 320
HANGOVER = 10  # frames that are bridged after speech


def noise(seconds, level_db, seed=0):
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    return (samples * 10 ** (level_db / 20)).astype(np.float32)


def with_gaps(utterances, gap_s=2.0):
    """Utterances after digital silence each, and what every frame is: 1 clear speech, 0 gap, -1 neither."""
    sound, truth = [], []
    for samples in utterances:
        frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        power = np.square(frames).mean(axis=1)
        clear = power > np.quantile(power, 0.95) / 10**2.5  # the loudest, and 25 dB below
        gap = round(gap_s * 16000 / FRAME)
        sound += [np.zeros(gap * FRAME), frames.ravel()]
        truth += [np.zeros(gap, int), np.where(clear, 1, -1)]
    return np.concatenate(sound).astype(np.float32), np.concatenate(truth)


def rates(sound, truth):
    """Share of clear speech that is found, and share of the gaps, beyond the hangover, that is taken for speech."""
    active = EnergyActivity().push(sound)
    after = np.flatnonzero((truth[:-1] != 0) & (truth[1:] == 0)) + 1
    gaps = truth == 0
    for first in after:
        gaps[first : first + HANGOVER] = False
    return active[truth == 1].mean(), active[gaps].mean()


@pytest.fixture(scope="module")
def voices():
    random = np.random.default_rng(0)
    pitches = (90.0, 120.0, 180.0, 220.0)
    return with_gaps([speak(random_sentence(random), VoiceSettings(pitch_hz=pitch), random) for pitch in pitches])


@pytest.mark.parametrize(
    "snr_db, found, mistaken", [(60, 0.99, 0.01), (30, 0.99, 0.01), (20, 0.95, 0.01), (10, 0.7, 0.02)]
)
def test_a_voice_is_found_in_noise_of_this_level(voices, snr_db, found, mistaken):
    sound, truth = voices
    level_db = 10 * np.log10(np.square(sound.reshape(-1, FRAME)[truth == 1]).mean())
    hit, false = rates(sound + noise(len(sound) / 16000, level_db - snr_db), truth)
    assert hit >= found and false <= mistaken


def test_real_speech_is_found_and_inserted_silence_is_not_taken_for_it(shared_folder):
    files = sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))[::50]
    assert len(files) == 11
    sound, truth = with_gaps([read_audio(file) for file in files], gap_s=1.5)
    for level_db in (-90, -60):
        hit, false = rates(sound + noise(len(sound) / 16000, level_db), truth)
        assert hit >= 0.98 and false <= 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_answer_does_not_depend_on_the_chunks(voices, seed):
    sound = voices[0] + noise(len(voices[0]) / 16000, -50)
    whole = EnergyActivity().push(sound)
    random = np.random.default_rng(seed)
    cuts = np.cumsum(random.integers(0, 10 ** random.integers(1, 5), len(sound)))
    activity = EnergyActivity()
    parts = [activity.push(part) for part in np.split(sound, cuts[cuts < len(sound)])]
    assert np.concatenate(parts).tolist() == whole.tolist() and len(whole) == len(sound) // FRAME


@pytest.mark.parametrize("sound", [np.zeros(32000, np.float32), np.full(32000, 0.5, np.float32), noise(5, -70)])
def test_silence_an_offset_and_faint_noise_are_no_voice(sound):
    assert not EnergyActivity().push(sound).any()


def test_the_floor_follows_a_lasting_rise_of_the_noise_within_seconds():
    active = EnergyActivity().push(np.concatenate([noise(5, -60), noise(10, -40)]))
    assert not active[50:250].any()
    # Until the floor has climbed from -60 to within 6 dB of -40, at 3 dB a second: 14 / 3 = 4.7 s; and the hangover.
    assert active[250:470].all() and not active[250 + 260 :].any()


def test_a_click_is_not_bridged_and_a_word_is():
    quiet = noise(1, -60)
    burst = noise(0.06, -20)
    click, word = quiet.copy(), quiet.copy()
    click[16000 // 2 : 16000 // 2 + FRAME] = burst[:FRAME]
    word[16000 // 2 : 16000 // 2 + 3 * FRAME] = burst
    assert EnergyActivity().push(click).sum() == 1
    assert EnergyActivity().push(word).sum() == 3 + HANGOVER


def test_a_stream_that_begins_amid_speech_is_heard():
    assert EnergyActivity().push(noise(1, -20)).all()


def test_reset_forgets_and_nothing_gives_nothing():
    activity = EnergyActivity()
    first = activity.push(noise(1.01, -30)).tolist()
    activity.reset()
    assert activity.push(noise(1.01, -30)).tolist() == first
    assert activity.push(np.zeros(0, np.float32)).shape == (0,)


@pytest.mark.parametrize("option", [{"margin_db": 0}, {"quiet_db": 1}, {"rise_db_per_s": 0}, {"hangover_s": -1}])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(ValueError, match="margin_db and rise_db_per_s must be > 0"):
        EnergyActivity(**option)
