"""Noise whose power falls with frequency: white, pink, brown."""

import numpy as np
from scipy import fft

from akd_toolkit.data.audio import SAMPLE_RATE_HZ

LOWEST_HZ = 20.0
EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}


def coloured_noise(colour: str, num_samples: int, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise of power density ~ 1 / f^a from 20 Hz on, and nothing below.

    noise = irfft( rfft(white Gaussian) * f^(-a / 2) ),   a = 0 white, 1 pink (-3 dB an octave), 2 brown (-6 dB)

    Source: Timmer & König 1995, "On generating power law noise", here by shaping white noise.

    Arguments
    ---------
    colour
        ``white``, ``pink`` or ``brown``.

    Shape
    -----
    Returns [num_samples], of any scale.

    Example
    -------
    >>> noise = coloured_noise("brown", 16000, np.random.default_rng(0))  # bins of 1 Hz
    >>> power = np.abs(np.fft.rfft(noise)) ** 2
    >>> bool(power[:20].max() < 1e-20), round(float(power[400:800].sum() / power[800:1600].sum()))
    (True, 2)
    """
    longer = fft.next_fast_len(num_samples, real=True)
    spectrum = fft.rfft(random.standard_normal(longer))
    hz = fft.rfftfreq(longer, 1 / SAMPLE_RATE_HZ)
    gain = np.where(hz >= LOWEST_HZ, np.maximum(hz, LOWEST_HZ) ** (-EXPONENTS[colour] / 2), 0.0)
    return fft.irfft(spectrum * gain, longer)[:num_samples]
