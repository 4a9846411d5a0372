"""A teacher that needs no download: statistics of log-mel energies, their dynamics, and prosody."""

import numpy as np

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import SAMPLE_RATE_HZ, Teacher

WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms, 10 ms
PITCH_WINDOW, PITCH_FFT = 640, 2048  # 40 ms hold two periods of 50 Hz
PITCH_LOW_HZ, PITCH_HIGH_HZ = 60.0, 500.0
VOICED = 0.45  # least normalised autocorrelation of a voiced frame
FLOOR = 1e-6  # added to energies before the logarithm, about -60 dB re full scale
PARTS = ("spectrum", "dynamics", "prosody")


@TEACHERS.register("logmel_statistics")
class LogMelStatistics(Teacher):
    """Loudness, brightness, tempo and pitch of a voice: statistics of its log-mel energies and of its pitch.

    ``spectrum`` (5 num_mels): mean, deviation and percentiles of every band. ``dynamics`` (3 num_mels): how much
    each band changes over 10, 50 and 100 ms. ``prosody`` (26): pitch by autocorrelation (level, range, slope, jumps),
    loudness, tempo of its peaks, spectral balance. Single parts make teachers of different kinds.

    Source: the feature groups follow Eyben et al. 2016 (GeMAPS) and the peak tempo Mermelstein 1975, both simplified.

    ``num_mels`` >= 8 is the number of mel bands between 50 and 7600 Hz, ``parts`` are some of the three.

    Example
    -------
    >>> tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> prosody = LogMelStatistics(parts=["prosody"]).features(tone)
    >>> round(float(np.exp(prosody[0, 0])))  # the mean pitch, in Hz
    200
    """

    name = "logmel_statistics"
    version = 1
    num_layers = 1
    example_options = {"num_mels": 24}

    def __init__(self, num_mels: int = 40, parts: list[str] | tuple[str, ...] = PARTS):
        unknown = [part for part in parts if part not in PARTS]
        if unknown or not parts:
            raise ValueError(f"parts must be some of {', '.join(PARTS)}, got {list(parts)}.")
        if num_mels < 8:
            raise ValueError(f"num_mels must be >= 8, got {num_mels}.")
        self.num_mels = num_mels
        self.parts = tuple(part for part in PARTS if part in parts)
        self.title = "log-mel statistics" + ("" if self.parts == PARTS else f" ({', '.join(self.parts)})")
        self._bands = mel_bands(num_mels)

    def identity(self) -> dict:
        return {"num_mels": self.num_mels, "parts": self.parts}

    def features(self, waveform: np.ndarray) -> np.ndarray:
        waveform = np.asarray(waveform, dtype=np.float64)
        power = np.abs(np.fft.rfft(_frames(waveform, WINDOW) * np.hanning(WINDOW), FFT)) ** 2 / WINDOW
        log_mel = np.log(power @ self._bands.T + FLOOR)  # [T, num_mels]
        values = []
        if "spectrum" in self.parts:
            values += [log_mel.mean(axis=0), log_mel.std(axis=0), *np.percentile(log_mel, [10, 50, 90], axis=0)]
        if "dynamics" in self.parts:
            values += [_movement(log_mel, lag) for lag in (1, 5, 10)]
        if "prosody" in self.parts:
            values += [_pitch_statistics(waveform), _loudness_statistics(power), _balance_statistics(power)]
        return np.concatenate(values).astype(np.float32)[None]


def mel_bands(num_mels: int) -> np.ndarray:
    """Triangular bands, equally spaced in mel (2595 log10(1 + f / 700)): [num_mels, FFT / 2 + 1]."""
    low, high = (2595 * np.log10(1 + edge_hz / 700) for edge_hz in (50.0, 7600.0))
    centres = 700 * (10 ** (np.linspace(low, high, num_mels + 2) / 2595) - 1)
    bins_hz = np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT
    rising = (bins_hz - centres[:-2, None]) / (centres[1:-1] - centres[:-2])[:, None]
    falling = (centres[2:, None] - bins_hz) / (centres[2:] - centres[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _frames(waveform: np.ndarray, window: int) -> np.ndarray:
    """Overlapping windows [T, window]; a waveform shorter than one window is padded with zeros."""
    padded = np.pad(waveform, (0, max(0, window - len(waveform))))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP]


def _movement(log_mel: np.ndarray, lag: int) -> np.ndarray:
    """Mean distance of every band from itself ``lag`` frames later: [num_mels]."""
    lag = min(lag, len(log_mel) - 1)
    return np.abs(log_mel[lag:] - log_mel[: len(log_mel) - lag]).mean(axis=0)


def pitch(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pitch in Hz and periodicity (0 to 1) of every frame, [T] each.

    The autocorrelation of a Hann window is divided by the window's own (Boersma 1993), and its highest peak between
    2 ms and 17 ms is the period, refined by a parabola.
    """
    window = np.hanning(PITCH_WINDOW)
    frames = _frames(waveform, PITCH_WINDOW)
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, PITCH_FFT)) ** 2)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, PITCH_FFT)) ** 2)
    shortest, longest = int(SAMPLE_RATE_HZ / PITCH_HIGH_HZ), int(SAMPLE_RATE_HZ / PITCH_LOW_HZ)
    lags = np.arange(shortest, longest)
    energy = correlation[:, :1] + 1e-9 * PITCH_WINDOW
    score = correlation[:, lags] / energy * (own[0] / own[lags])
    # A voice repeats after two periods as well as after one: prefer the shorter.
    best = np.argmax(score - 0.02 * np.log2(lags / shortest), axis=1)
    inner = np.clip(best, 1, len(lags) - 2)
    before, peak, after = (score[np.arange(len(score)), inner + step] for step in (-1, 0, 1))
    curvature = before - 2 * peak + after
    shift = np.where(curvature < -1e-9, 0.5 * (before - after) / np.minimum(curvature, -1e-9), 0.0)
    return SAMPLE_RATE_HZ / (lags[inner] + np.clip(shift, -0.5, 0.5)), np.clip(peak, 0, 1)


def _pitch_statistics(waveform: np.ndarray) -> np.ndarray:
    hz, periodicity = pitch(waveform)
    voiced = periodicity > VOICED
    # An utterance without three voiced frames is described by all of its frames.
    used = np.flatnonzero(voiced if voiced.sum() > 2 else np.ones(len(hz), dtype=bool))
    log_hz = np.log(hz[used])
    time_s = (used - used.mean()) * HOP / SAMPLE_RATE_HZ
    slope = (time_s @ log_hz) / max(time_s @ time_s, 1e-9)  # octaves / ln 2, per second
    steps = np.abs(np.diff(log_hz))
    small = steps[steps < 0.1]  # larger ones are gaps between words or errors of an octave
    low, middle, high = np.percentile(log_hz, [10, 50, 90])
    jumps = small.mean() if len(small) else 0.0
    share = voiced.mean(), periodicity.mean()
    return np.array([log_hz.mean(), middle, log_hz.std(), high - low, high, slope, jumps, *share])


def _loudness_statistics(power: np.ndarray) -> np.ndarray:
    level = np.log(power.sum(axis=1) + FLOOR)
    low, middle, high = np.percentile(level, [10, 50, 90])
    loud = level > high - 3.5  # within about 15 dB of the loud frames
    smooth = np.convolve(level, np.hanning(11) / np.hanning(11).sum(), mode="same")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > middle)
    duration_s = len(level) * HOP / SAMPLE_RATE_HZ
    spoken_s = max(loud.sum(), 1) * HOP / SAMPLE_RATE_HZ
    tempo = loud.mean(), peaks.sum() / duration_s, peaks.sum() / spoken_s, np.log(duration_s)
    return np.array([level.mean(), level.std(), high - low, middle, high, *tempo])


def _balance_statistics(power: np.ndarray) -> np.ndarray:
    """Centre of gravity, tilt and share of energy above 1 kHz over the loud frames: mean and deviation of each."""
    level = power.sum(axis=1)
    loud = power[level >= np.percentile(level, 50)] + FLOOR
    bins_hz = np.arange(power.shape[1]) * SAMPLE_RATE_HZ / FFT
    share = loud / loud.sum(axis=1, keepdims=True)
    centre = np.log(share @ bins_hz)
    octaves = np.log2(bins_hz[2:])
    tilt = np.log(loud[:, 2:]) @ (octaves - octaves.mean()) / np.sum((octaves - octaves.mean()) ** 2)
    bright = np.log(share[:, bins_hz >= 1000].sum(axis=1))
    entropy = -(share * np.log(share)).sum(axis=1)
    return np.array([statistic(track) for track in (centre, tilt, bright, entropy) for statistic in (np.mean, np.std)])
