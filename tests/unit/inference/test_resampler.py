"""However the pieces are cut: what scipy makes of the whole."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from akd_toolkit.inference.resampler import Resampler

RATES = [4000, 8000, 11025, 15999, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000, 384000]


def in_pieces(samples, from_hz, to_hz, sizes):
    resampler, found, at = Resampler(from_hz, to_hz), [], 0
    while at < len(samples):
        size = next(sizes)
        found.append(resampler.push(samples[at : at + size]))
        at += size
    return np.concatenate([*found, resampler.finish()])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("longest", [50, 3000, 100_000])
def test_pieces_of_any_length_give_exactly_what_the_whole_gives(rate, longest):
    random = np.random.default_rng(rate + longest)
    samples = random.normal(0, 0.3, 20 * longest // 10 + 777).astype(np.float32)
    sizes = iter(lambda: int(random.integers(1, longest + 1)), None)
    expected = resample_poly(samples, 16000, rate)
    found = in_pieces(samples, rate, 16000, sizes)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("num_samples", [1, 2, 440, 441, 442, 883])
def test_short_sounds_have_as_many_samples_as_scipy_gives(num_samples):
    samples = np.ones(num_samples, np.float32)
    found = in_pieces(samples, 44100, 16000, iter(lambda: 1, None))
    np.testing.assert_array_equal(found, resample_poly(samples, 160, 441))


def test_upwards_and_downwards_one_sample_at_a_time():
    samples = np.random.default_rng(0).normal(size=500).astype(np.float32)
    for rates in [(16000, 48000), (3, 7), (7, 3), (1, 1)]:
        np.testing.assert_array_equal(
            in_pieces(samples, *rates, iter(lambda: 1, None)), resample_poly(samples, *rates[::-1])
        )


def test_nothing_in_nothing_out():
    resampler = Resampler(8000, 16000)
    assert len(resampler.push(np.empty(0, np.float32))) == 0 and len(resampler.finish()) == 0


def test_what_is_remembered_does_not_grow():
    resampler = Resampler(44100, 16000)
    for _ in range(200):
        resampler.push(np.zeros(4410, np.float32))
    assert len(resampler._held) <= 441 + 2 * 28 + 1


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="sampling rates must be >= 1 Hz, got 0 and 16000"):
        Resampler(0, 16000)
