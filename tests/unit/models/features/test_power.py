"""Power spectra by products with cosines, against numpy's Fourier transform."""

import numpy as np
import pytest
import torch

from akd_toolkit.models.features.power import ConvolvedPower, FoldedPower, power_of


def expected_power(waveform, window, hop, first_bin, last_bin):
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, waveform.shape[1] - window + 1, hop)
    frames = np.stack([waveform[:, start : start + window].double().numpy() * hann for start in starts], axis=1)
    return np.abs(np.fft.rfft(frames))[..., first_bin:last_bin] ** 2


@pytest.mark.parametrize("way", [ConvolvedPower, FoldedPower])
@pytest.mark.parametrize(
    "window, hop", [(400, 160), (320, 160), (8, 3), (1024, 256), (400, 250), (40, 7), (12, 12), (8, 13)]
)
def test_power_is_that_of_numpys_fourier_transform(way, window, hop):
    torch.manual_seed(0)
    first_bin, last_bin = 1, window // 2
    power = way(window, hop, first_bin, last_bin)
    for num_samples in (window, window + 1, window + hop - 1, window + hop, 3 * window + 7):
        waveform = torch.randn(2, num_samples)
        expected = expected_power(waveform, window, hop, first_bin, last_bin)[..., power.order - first_bin]
        np.testing.assert_allclose(power(waveform).numpy(), expected, rtol=1e-4, atol=1e-4 * window)


def test_only_a_window_that_can_be_folded_is_folded():
    assert isinstance(power_of(400, 160, 1, 200), FoldedPower)
    assert isinstance(power_of(402, 160, 0, 9), ConvolvedPower)
