"""What is done to test speech: noise at a ratio, a room, a telephone. The same in every run.

Each takes the clean waveform and gives one of the same length. What is random is drawn from the utterance's ID and the
kind of the disturbance, so that the same noise comes at every level of it.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from akd_toolkit.evaluate.studies.disturbances.babble import babble
from akd_toolkit.evaluate.studies.disturbances.codec import SUBTYPES, through_codec
from akd_toolkit.evaluate.studies.disturbances.coloured import EXPONENTS, coloured_noise
from akd_toolkit.evaluate.studies.disturbances.mixing import add_noise, without_clipping
from akd_toolkit.evaluate.studies.disturbances.reverberation import reverberate

VERSION = 1  # raise it when any disturbance sounds otherwise, so that what is stored is computed anew
CLEAN = "clean"
NOISES = (*EXPONENTS, "babble")
ROOM = "reverberation"
CODECS = tuple(SUBTYPES)


def disturb(
    speech: np.ndarray,
    kind: str,
    level: float | None,
    utterance_id: str,
    voices: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> np.ndarray:
    """One disturbed copy of an utterance.

    Arguments
    ---------
    kind
        ``clean``; ``white``, ``pink``, ``brown`` or ``babble``; ``reverberation``; ``8 kHz``, ``G.711`` or ``GSM``.
    level
        SNR in dB for noise, T60 in seconds for reverberation, None for the others.
    voices
        Speaker -> waveforms that babble is made of.

    Shape
    -----
    speech: [samples], 16 kHz. Returns [samples], float32 in [-1, 1]; the very same array for ``clean``, and for noise
    at an infinite ratio.

    Raises
    ------
    ValueError
        If the kind is unknown.

    Example
    -------
    >>> speech = np.random.default_rng(0).uniform(-0.1, 0.1, 1600).astype(np.float32)
    >>> disturb(speech, "white", np.inf, "a1") is speech, disturb(speech, "white", 10.0, "a1").shape
    (True, (1600,))
    """
    if kind == CLEAN or (kind in NOISES and np.isposinf(level)):
        return speech
    seed = hashlib.sha256(f"{VERSION}|{kind}|{utterance_id}".encode()).digest()[:8]
    random = np.random.default_rng(int.from_bytes(seed, "little"))
    if kind == "babble":
        disturbed = add_noise(speech, babble(voices or {}, len(speech), random), level)
    elif kind in NOISES:
        disturbed = add_noise(speech, coloured_noise(kind, len(speech), random), level)
    elif kind == ROOM:
        disturbed = reverberate(speech, level, random)
    elif kind in CODECS:
        disturbed = through_codec(speech, kind)
    else:
        raise ValueError(f"kind must be one of {', '.join((CLEAN, *NOISES, ROOM, *CODECS))}, got '{kind}'.")
    return without_clipping(disturbed)
