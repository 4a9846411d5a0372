"""Views of an utterance: the clean waveform and augmented copies that are the same in every run.

A teacher's features for (utterance, view) can therefore be computed once and stored, and student and teacher meet the
same sound.
"""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from scipy.signal import resample_poly

from akd_toolkit.data.audio import MIN_SAMPLES


@dataclass(frozen=True)
class ViewSettings:
    """How far a view may lie from the clean waveform.

    Arguments
    ---------
    speed_low, speed_high
        Range of the playback speed, > 0; pitch and formants move with it, as between speakers. 1 leaves it.
    gain_db
        Largest change of level up or down, in dB, >= 0.
    snr_db
        Lowest level of the speech over added white noise, in dB; None adds no noise.
    """

    speed_low: float = 0.85
    speed_high: float = 1.18
    gain_db: float = 0.0
    snr_db: float | None = None

    def __post_init__(self):
        if not 0.5 <= self.speed_low <= self.speed_high <= 2.0:
            raise ValueError(
                f"speed must satisfy 0.5 <= speed_low <= speed_high <= 2, got {self.speed_low} and {self.speed_high}."
            )
        if self.gain_db < 0:
            raise ValueError(f"gain_db must be >= 0 dB, got {self.gain_db}.")

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with any setting, for the keys of stored features."""
        return hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:12]


def make_view(
    waveform: np.ndarray, view: int, utterance_id: str, seed: int, settings: ViewSettings = ViewSettings()
) -> np.ndarray:
    """Copy ``view`` of an utterance; 0 is the clean waveform itself.

    Arguments
    ---------
    view
        0, 1, 2, ...: which copy. The same (seed, utterance_id, view, settings) gives the same samples in every run.

    Shape
    -----
    waveform: [samples], float32. Returns [samples / speed], float32 in [-1, 1], never shorter than 0.1 s.

    Example
    -------
    >>> clean = np.full(16000, 0.1, dtype=np.float32)
    >>> make_view(clean, 0, "a1", seed=1) is clean
    True
    >>> slow = ViewSettings(speed_low=0.8, speed_high=0.8)
    >>> make_view(clean, 1, "a1", seed=1, settings=slow).shape  # 16000 / 0.8
    (20000,)
    """
    if view < 0:
        raise ValueError(f"view must be 0 (clean) or a positive number, got {view}.")
    if view == 0:
        return waveform
    key = f"{seed}|{utterance_id}|{view}".encode()
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "little"))
    # All draws are made before any is used, so that switching one setting off leaves the others as they were.
    speed, gain, noise = random.uniform(size=3)
    percent = round(100 * (settings.speed_low + speed * (settings.speed_high - settings.speed_low)))
    percent = max(1, min(percent, 100 * len(waveform) // MIN_SAMPLES))
    copy = resample_poly(waveform, 100, percent) if percent != 100 else waveform.copy()
    if settings.snr_db is not None:
        snr_db = settings.snr_db + 20.0 * noise
        level = np.sqrt(np.mean(np.square(copy))) * 10 ** (-snr_db / 20)
        copy = copy + level * random.standard_normal(len(copy))
    copy = copy * 10 ** (settings.gain_db * (2 * gain - 1) / 20)
    return np.clip(copy, -1.0, 1.0).astype(np.float32)
