"""How loud speech is while somebody speaks, and noise added at a wanted ratio to it."""

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ

FRAME = round(0.025 * SAMPLE_RATE_HZ)
RANGE_DB = 40.0


def active(speech: np.ndarray) -> np.ndarray:
    """Which samples are speech and not pause: those of frames within 40 dB of the loudest, bool [samples].

    Frames of 25 ms follow one another; the last may be shorter. A silent waveform is active nowhere.

    Source: the rule of STOI (Taal et al. 2011, section II), here without overlap of the frames.

    Example
    -------
    >>> speech = np.concatenate([np.full(400, 0.5), np.full(400, 0.001)])  # the second frame lies 54 dB below
    >>> int(active(speech).sum())
    400
    """
    starts = np.arange(0, len(speech), FRAME)
    counts = np.diff([*starts, len(speech)])
    power = np.add.reduceat(np.square(speech, dtype=float), starts) / counts
    return np.repeat((power > 0) & (power >= power.max() * 10 ** (-RANGE_DB / 10)), counts)


def active_rms(speech: np.ndarray) -> float:
    """Root mean square of the active samples; 0 for silence.

    Example
    -------
    >>> active_rms(np.concatenate([np.full(400, 0.5), np.zeros(400)]))
    0.5
    """
    loud = active(speech)
    return float(np.sqrt(np.mean(np.square(speech[loud], dtype=float)))) if loud.any() else 0.0


def snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """Signal-to-noise ratio over the active part A of the speech, in dB.

    snr = 10 log10( sum_{t in A} speech[t]^2 / sum_{t in A} noise[t]^2 )

    Pauses count for neither, so that a recording with long silence around the speech gets no less noise.

    Example
    -------
    >>> round(snr_db(np.full(400, 0.5), np.full(400, 0.05)), 6)
    20.0
    """
    loud = active(speech)
    power = [np.square(part[loud], dtype=float).sum() for part in (speech, noise)]
    return float(10 * np.log10(power[0] / power[1]))


def add_noise(speech: np.ndarray, noise: np.ndarray, wanted_db: float) -> np.ndarray:
    """``speech`` + g * ``noise``, g such that ``snr_db`` is ``wanted_db``; the speech itself where that is infinite.

    Shape
    -----
    speech, noise: [samples]. Returns [samples], which may exceed 1.

    Raises
    ------
    ValueError
        If the noise is silent wherever somebody speaks.

    Example
    -------
    >>> add_noise(np.full(4, 0.5), np.ones(4), wanted_db=20.0)
    array([0.55, 0.55, 0.55, 0.55])
    """
    if np.isposinf(wanted_db):
        return speech
    loud = active(speech)
    if not noise[loud].any():
        raise ValueError("the noise is silent wherever the speech is not, so no level of it gives the wanted ratio.")
    return speech + noise * 10 ** ((snr_db(speech, noise) - wanted_db) / 20)


def without_clipping(waveform: np.ndarray) -> np.ndarray:
    """The waveform as float32, turned down as a whole where its peak exceeds 1, as one would turn down a microphone.

    Example
    -------
    >>> without_clipping(np.array([2.0, -1.0]))
    array([ 1. , -0.5], dtype=float32)
    """
    peak = np.abs(waveform).max()
    return (waveform / max(peak, 1.0)).astype(np.float32)
