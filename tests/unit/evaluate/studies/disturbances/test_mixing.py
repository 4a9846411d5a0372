"""Levels are those of the part in which somebody speaks."""

import numpy as np
import pytest

from akd_toolkit.evaluate.studies.disturbances.mixing import active, active_rms, add_noise, snr_db, without_clipping


@pytest.fixture
def speech():
    """Half a second of pause, a loud second, a quarter of pause, with a faint hum throughout."""
    random = np.random.default_rng(1)
    loud = np.concatenate([np.zeros(8000), np.ones(16000), np.zeros(4000)])
    return (0.2 * loud * random.standard_normal(28000) + 1e-5 * np.sin(np.arange(28000))).astype(np.float32)


def test_active_samples_are_those_of_frames_within_40_db_of_the_loudest(speech):
    power = [np.mean(speech[start : start + 400].astype(float) ** 2) for start in range(0, 28000, 400)]
    by_hand = [10 * np.log10(value / max(power)) >= -40 for value in power]
    assert active(speech).tolist() == np.repeat(by_hand, 400).tolist()
    assert active(speech).sum() == 16000


def test_a_frame_that_is_cut_short_counts_by_its_mean():
    speech = np.concatenate([np.full(400, 0.5), np.full(10, 0.5)])
    assert active(speech).all() and active_rms(speech) == pytest.approx(0.5)


def test_silence_is_active_nowhere():
    assert not active(np.zeros(1000)).any() and active_rms(np.zeros(1000)) == 0.0


@pytest.mark.parametrize("wanted", [20.0, 10.0, 5.0, 0.0, -5.0])
def test_the_measured_ratio_is_the_wanted_one(speech, wanted):
    noise = np.random.default_rng(2).standard_normal(len(speech))
    added = add_noise(speech, noise, wanted) - speech
    spoken = np.arange(8000, 24000)  # by hand: where the pauses are not
    ratio = np.mean(speech[spoken].astype(float) ** 2) / np.mean(added[spoken] ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(wanted, abs=0.01)
    assert snr_db(speech, added) == pytest.approx(wanted, abs=0.01)


def test_long_pauses_do_not_change_the_level_of_the_noise(speech):
    longer = np.concatenate([np.zeros(32000, np.float32), speech])
    noise = np.random.default_rng(2).standard_normal(len(longer))
    short = add_noise(speech, noise[32000:], 10.0) - speech
    long = add_noise(longer, noise, 10.0)[32000:] - speech
    np.testing.assert_allclose(long, short, rtol=1e-6, atol=1e-9)


def test_no_noise_leaves_the_speech_as_it_was(speech):
    assert add_noise(speech, np.ones(len(speech)), np.inf) is speech


def test_noise_that_is_silent_where_there_is_speech_is_refused(speech):
    noise = np.zeros(len(speech))
    noise[:4000] = 1
    with pytest.raises(ValueError, match="silent wherever the speech is not"):
        add_noise(speech, noise, 10.0)


def test_what_would_clip_is_turned_down_as_a_whole():
    np.testing.assert_array_equal(without_clipping(np.array([4.0, 1.0, -2.0])), np.float32([1.0, 0.25, -0.5]))
    quiet = np.array([0.5, -0.25])
    assert without_clipping(quiet).dtype == np.float32 and (without_clipping(quiet) == quiet).all()
