"""Speech in a room, by impulse responses that decay exponentially."""

import numpy as np
from scipy.signal import fftconvolve

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.evaluate.studies.disturbances.mixing import active_rms


def impulse_response(t60_s: float, random: np.random.Generator) -> np.ndarray:
    """Direct sound and a diffuse tail of equal energy, which falls by 60 dB in ``t60_s``.

    h[0] = 1,   h[t] = g n[t] 10^(-3 t / T60) for 0 < t <= T60,   sum_{t > 0} h[t]^2 = 1,   n white Gaussian

    Direct sound and tail are as loud as each other, which is what a microphone hears at the critical distance, half a
    metre to a metre in a living room. Early reflections are not modelled.

    Source: Polack 1988, "La transmission de l'énergie sonore dans les salles": late reverberation as noise with an
    exponential envelope.

    Arguments
    ---------
    t60_s
        Reverberation time in seconds, > 0.

    Shape
    -----
    Returns [1 + T60 * 16000].

    Example
    -------
    >>> response = impulse_response(0.5, np.random.default_rng(0))
    >>> response.shape, float(response[0]), round(float((response[1:] ** 2).sum()), 6)
    ((8001,), 1.0, 1.0)
    """
    if not t60_s > 0:
        raise ValueError(f"t60_s must be above 0 s, got {t60_s}.")
    time_s = np.arange(1, round(t60_s * SAMPLE_RATE_HZ) + 1) / SAMPLE_RATE_HZ
    tail = random.standard_normal(len(time_s)) * 10 ** (-3 * time_s / t60_s)
    return np.concatenate([[1.0], tail / np.sqrt(np.square(tail).sum())])


def reverberate(speech: np.ndarray, t60_s: float, random: np.random.Generator) -> np.ndarray:
    """The speech in that room, as loud as before and as long: what rings on after its end is cut off.

    Shape
    -----
    speech: [samples]. Returns [samples].

    Example
    -------
    >>> click = np.zeros(1600)
    >>> click[0] = 0.5
    >>> room = reverberate(click, 0.05, np.random.default_rng(0))
    >>> room.shape, bool(room[1:800].any()), bool(np.abs(room[801:]).max() < 1e-9)  # 0.05 s are 800 samples
    ((1600,), True, True)
    """
    wet = fftconvolve(speech, impulse_response(t60_s, random))[: len(speech)]
    return wet * active_rms(speech) / max(active_rms(wet), 1e-9)


def measured_t60(response: np.ndarray) -> float:
    """Reverberation time of an impulse response in seconds, from its decay between -5 and -35 dB.

    Source: Schroeder 1965, "New method of measuring reverberation time" (backward integration); T30 of ISO 3382-1.

    Example
    -------
    >>> steady = 10 ** (-3 * np.arange(16000) / 8000)  # 60 dB in half a second
    >>> round(measured_t60(steady), 3)
    0.5
    """
    left = np.cumsum(np.square(response)[::-1])[::-1]
    level_db = 10 * np.log10(left / left[0])
    part = np.flatnonzero((level_db <= -5) & (level_db >= -35))
    slope_db_s = np.polyfit(part / SAMPLE_RATE_HZ, level_db[part], 1)[0]
    return float(-60 / slope_db_s)
