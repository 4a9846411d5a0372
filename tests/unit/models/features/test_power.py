"""Power spectra by products with cosines, against numpy's Fourier transform."""

import numpy as np
import pytest
import torch

from akd_toolkit.models.features.power import ConvolvedPower, FoldedPower, power_of

SIZES = [
    (400, 160),
    (200, 80),
    (320, 160),
    (8, 4),
    (8, 3),
    (1024, 256),
    (512, 128),
    (400, 100),
    (400, 250),
    (40, 7),
    (12, 12),
    (8, 13),
]


def expected_power(waveform, window, hop, first_bin, last_bin):
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, waveform.shape[1] - window + 1, hop)
    frames = np.stack([waveform[:, start : start + window].double().numpy() * hann for start in starts], axis=1)
    return np.abs(np.fft.rfft(frames))[..., first_bin:last_bin] ** 2


@pytest.mark.parametrize("way", [ConvolvedPower, FoldedPower])
@pytest.mark.parametrize(("window", "hop"), SIZES)
def test_power_is_that_of_numpys_fourier_transform(way, window, hop):
    torch.manual_seed(0)
    first_bin, last_bin = 1, window // 2
    power = way(window, hop, first_bin, last_bin)
    for num_samples in (window, window + 1, window + hop - 1, window + hop, 3 * window + 7):
        waveform = torch.randn(2, num_samples)
        expected = expected_power(waveform, window, hop, first_bin, last_bin)[..., power.order - first_bin]
        np.testing.assert_allclose(power(waveform).numpy(), expected, rtol=1e-4, atol=1e-4 * window)


def test_a_window_that_cannot_be_folded_is_convolved():
    assert isinstance(power_of(402, 160, 0, 9), ConvolvedPower)
    with pytest.raises(ValueError, match="window of 402"):
        FoldedPower(402, 160, 0, 9)


def test_the_usual_front_end_is_folded():
    assert isinstance(power_of(400, 160, 1, 200), FoldedPower)


def test_folding_needs_a_quarter_of_the_products():
    folded, plain = FoldedPower(400, 160, 1, 200), ConvolvedPower(400, 160, 1, 200)
    products = sum(getattr(folded, name).numel() for name in ("even_cos", "even_sin", "odd_cos", "odd_sin"))
    assert 3.9 < plain.kernels.numel() / products < 4.1
