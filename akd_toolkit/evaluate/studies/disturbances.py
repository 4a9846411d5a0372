"""Disturbances of test speech: noise at a given SNR, babble, reverberation, telephone codecs.

Waveforms are [samples] at 16 kHz. Random parts are drawn from the utterance's ID and the kind, so that every run and
system gets the same noise, at every level of it.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
from scipy import fft
from scipy.signal import fftconvolve, resample_poly

from akd_toolkit.data.audio import SAMPLE_RATE_HZ

VERSION = 1  # raise it when any disturbance changes, so that stored scores are computed again
CLEAN, BABBLE, ROOM = "clean", "babble", "reverberation"
EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
NOISES = (*EXPONENTS, BABBLE)
CODECS = {"8 kHz": None, "G.711": "ULAW", "GSM": "GSM610"}  # libsndfile's names of the subtypes of a WAV file
BABBLE_VOICES = 6
FRAME = round(0.025 * SAMPLE_RATE_HZ)
ACTIVE_RANGE_DB = 40.0
LOWEST_NOISE_HZ = 20.0
TELEPHONE_HZ, NOMINAL_DBOV = 8000, -26.0


def disturb(
    speech: np.ndarray,
    kind: str,
    level: float | None,
    utterance_id: str,
    voices: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> np.ndarray:
    """A disturbed copy of an utterance, float32 in [-1, 1] of the same length; the same array for ``clean``.

    Arguments
    ---------
    kind
        ``clean``; ``white``, ``pink``, ``brown`` or ``babble``; ``reverberation``; ``8 kHz``, ``G.711`` or ``GSM``.
    level
        SNR in dB for noise, T60 in seconds for reverberation, None for the others.
    voices
        Speaker -> waveforms, for ``babble``.

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
    if kind in NOISES:
        length = len(speech)
        noise = babble(voices or {}, length, random) if kind == BABBLE else coloured_noise(kind, length, random)
        disturbed = add_noise(speech, noise, level)
    elif kind == ROOM:
        disturbed = reverberate(speech, level, random)
    elif kind in CODECS:
        disturbed = through_codec(speech, kind)
    else:
        raise ValueError(f"kind must be one of {', '.join((CLEAN, *NOISES, ROOM, *CODECS))}, got '{kind}'.")
    # A result above full scale is scaled down as a whole instead of being clipped.
    return (disturbed / max(np.abs(disturbed).max(), 1.0)).astype(np.float32)


def active(speech: np.ndarray) -> np.ndarray:
    """Samples that are speech and not pause, bool [samples]: frames of 25 ms within 40 dB of the loudest.

    Source: the rule of STOI (Taal et al. 2011, section II), here with frames that do not overlap.
    """
    starts = np.arange(0, len(speech), FRAME)
    counts = np.diff([*starts, len(speech)])
    power = np.add.reduceat(np.square(speech, dtype=float), starts) / counts
    return np.repeat((power > 0) & (power >= power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)), counts)


def active_rms(speech: np.ndarray) -> float:
    """Root mean square of the active samples; 0 for silence."""
    samples = speech[active(speech)]
    return float(np.sqrt(np.mean(np.square(samples, dtype=float)))) if len(samples) else 0.0


def snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """10 log10( sum_{t in A} speech[t]^2 / sum_{t in A} noise[t]^2 ) over the active part A of the speech, in dB."""
    mask = active(speech)
    power = [np.square(part[mask], dtype=float).sum() for part in (speech, noise)]
    return float(10 * np.log10(power[0] / power[1]))


def add_noise(speech: np.ndarray, noise: np.ndarray, wanted_db: float) -> np.ndarray:
    """``speech`` + g * ``noise``, with g such that ``snr_db`` is ``wanted_db``; may exceed 1.

    Example
    -------
    >>> add_noise(np.full(4, 0.5), np.ones(4), wanted_db=20.0)
    array([0.55, 0.55, 0.55, 0.55])
    """
    if not noise[active(speech)].any():
        raise ValueError("the noise is silent wherever the speech is not, so no gain of it reaches the wanted SNR.")
    return speech + noise * 10 ** ((snr_db(speech, noise) - wanted_db) / 20)


def coloured_noise(colour: str, num_samples: int, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise with power density ~ 1 / f^a from 20 Hz on and none below, of any scale.

    noise = irfft( rfft(white Gaussian) * f^(-a / 2) ),   a = 0 white, 1 pink (-3 dB per octave), 2 brown (-6 dB)

    Source: Timmer & König 1995, "On generating power law noise", here by shaping white noise.
    """
    length = fft.next_fast_len(num_samples, real=True)
    spectrum = fft.rfft(random.standard_normal(length))
    hz = fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    gain = np.where(hz >= LOWEST_NOISE_HZ, np.maximum(hz, LOWEST_NOISE_HZ) ** (-EXPONENTS[colour] / 2), 0.0)
    return fft.irfft(spectrum * gain, length)[:num_samples]


def babble(
    voices: Mapping[str, Sequence[np.ndarray]],
    num_samples: int,
    random: np.random.Generator,
    count: int = BABBLE_VOICES,
) -> np.ndarray:
    """The sum of ``count`` voices of equal loudness, of different speakers as long as there are enough.

    babble[t] = sum_k v_k[t] / rms(v_k),   v_k = utterances of speaker k one after another, from a random sample on

    ``voices`` maps speakers to waveforms. Give training speakers only, so that no test speaker is in the background.

    Source: Snyder et al. 2018, "X-vectors: robust DNN embeddings", where three to seven speakers make a babble.
    """
    if not voices:
        raise ValueError("babble needs at least one training speaker, and the training side has none.")
    total = np.zeros(num_samples)
    for speaker in np.resize(random.permutation(sorted(voices)), count):
        utterances = voices[speaker]
        order = random.permutation(len(utterances))
        start = int(random.integers(len(utterances[order[0]])))
        parts, length = [], 0
        while length < start + num_samples:
            parts.append(utterances[order[len(parts) % len(order)]])
            length += len(parts[-1])
        voice = np.concatenate(parts)
        total = total + voice[start : start + num_samples] / max(active_rms(voice), 1e-9)
    return total


def impulse_response(t60_s: float, random: np.random.Generator) -> np.ndarray:
    """Direct sound and a diffuse tail of the same energy that falls by 60 dB in ``t60_s``: [1 + T60 * 16000].

    h[0] = 1,   h[t] = g n[t] 10^(-3 t / T60) for 0 < t <= T60,   sum_{t > 0} h[t]^2 = 1,   n white Gaussian

    This is the sound at the critical distance, 0.5 to 1 m in a living room. Early reflections are not modelled.

    Source: Polack 1988, "La transmission de l'énergie sonore dans les salles".
    """
    if not t60_s > 0:
        raise ValueError(f"t60_s must be above 0 s, got {t60_s}.")
    time_s = np.arange(1, round(t60_s * SAMPLE_RATE_HZ) + 1) / SAMPLE_RATE_HZ
    tail = random.standard_normal(len(time_s)) * 10 ** (-3 * time_s / t60_s)
    return np.concatenate([[1.0], tail / np.sqrt(np.square(tail).sum())])


def reverberate(speech: np.ndarray, t60_s: float, random: np.random.Generator) -> np.ndarray:
    """The speech in that room, as loud and as long as before: the tail after its end is cut off."""
    wet = fftconvolve(speech, impulse_response(t60_s, random))[: len(speech)]
    return wet * active_rms(speech) / max(active_rms(wet), 1e-9)


def through_codec(speech: np.ndarray, codec: str) -> np.ndarray:
    """Resample to 8 kHz, encode and decode by libsndfile, and resample to 16 kHz again.

    * ``8 kHz``: resampling alone, to separate the loss above 4 kHz from the codec's own.
    * ``G.711``: mu-law, 8 bits a sample, 64 kbit/s. Source: ITU-T G.711.
    * ``GSM``: GSM 06.10 full rate, 13 kbit/s. Source: ETSI EN 300 961.

    Active speech enters at -26 dB re full scale, the nominal level of ITU-T G.191, and is scaled back afterwards.
    """
    gain = 10 ** (NOMINAL_DBOV / 20) / max(active_rms(speech), 1e-9)
    narrow = resample_poly(speech.astype(float), 1, 2) * gain
    if CODECS[codec] is not None:
        file = io.BytesIO()
        soundfile.write(file, np.clip(narrow, -1, 1), TELEPHONE_HZ, format="WAV", subtype=CODECS[codec])
        file.seek(0)
        narrow = soundfile.read(file)[0][: len(narrow)]  # GSM pads its last block of 20 ms
    return resample_poly(narrow, 2, 1)[: len(speech)] / gain
