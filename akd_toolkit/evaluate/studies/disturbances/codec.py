"""Speech through a telephone: 8 kHz, and the codecs of the fixed and the mobile net."""

import io

import numpy as np
import soundfile
from scipy.signal import resample_poly

from akd_toolkit.evaluate.studies.disturbances.mixing import active_rms

TELEPHONE_HZ = 8000
NOMINAL_DBOV = -26.0
SUBTYPES = {"8 kHz": None, "G.711": "ULAW", "GSM": "GSM610"}  # as libsndfile names them, in a WAV file


def through_codec(speech: np.ndarray, codec: str) -> np.ndarray:
    """Resample to 8 kHz, encode, decode, and resample to 16 kHz again.

    * ``8 kHz``: resampled alone, so that the loss of everything above 4 kHz can be told from the codec's own.
    * ``G.711``: mu-law, 8 bits a sample, 64 kbit/s; the fixed telephone. Source: ITU-T G.711.
    * ``GSM``: GSM 06.10 full rate, 13 kbit/s; the early mobile telephone. Source: ETSI EN 300 961.

    Both codecs are libsndfile's. The active part of the speech enters at -26 dB re full scale, the nominal level of
    ITU-T G.191, and is turned back afterwards, so that a quiet recording does not meet a coarser codec.

    Shape
    -----
    speech: [samples], 16 kHz. Returns [samples].

    Raises
    ------
    ValueError
        If the codec is none of these.

    Example
    -------
    >>> tone = 0.1 * np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)
    >>> high = 0.1 * np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000)
    >>> [round(float(np.abs(through_codec(wave, "8 kHz")[1000:-1000]).max()), 3) for wave in (tone, high)]
    [0.1, 0.0]
    """
    if codec not in SUBTYPES:
        raise ValueError(f"codec must be one of {', '.join(SUBTYPES)}, got '{codec}'.")
    gain = 10 ** (NOMINAL_DBOV / 20) / max(active_rms(speech), 1e-9)
    narrow = resample_poly(speech.astype(float), 1, 2) * gain
    if SUBTYPES[codec] is not None:
        file = io.BytesIO()
        soundfile.write(file, np.clip(narrow, -1, 1), TELEPHONE_HZ, format="WAV", subtype=SUBTYPES[codec])
        file.seek(0)
        narrow = soundfile.read(file)[0][: len(narrow)]  # GSM fills up its last block of 20 ms
    return resample_poly(narrow, 2, 1)[: len(speech)] / gain
