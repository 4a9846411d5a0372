"""Is someone speaking? Voice activity by name, and the light one: energy above a noise floor that follows the noise."""

import logging
import math
from functools import lru_cache

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.inference.silero import SileroActivity

logger = logging.getLogger(__name__)

ACTIVITIES = ("auto", "silero", "energy", "off")
FRAME_S = 0.02
FALL_S = 0.1  # time constant with which the floor falls to a quieter frame
FIRST_FLOOR_DB = -40.0  # a stream may begin amid speech, which must not be taken for the noise
BURST_FRAMES = 3  # speech goes on for 60 ms or more; a click does not


class EnergyActivity:
    """Voice activity of a stream, one answer for every 20 ms, resting on nothing later.

    level[t] = max(quiet_db, 10 log10 of the variance of frame t's samples)              dB re full scale
    floor[t] = floor[t-1] + 0.18 (level[t] - floor[t-1])         where the level is below the floor
    floor[t] = min(level[t], floor[t-1] + 0.02 rise_db_per_s)    where it is not
    loud[t]  = level[t] > floor[t] + margin_db
    active[t] = loud[t], or t is within ``hangover_s`` after three or more loud frames in a row

    with 0.18 = 1 - exp(-20 ms / 100 ms) and floor[0] = min(level[0], -40). So the floor drops into every gap between
    words, climbs too slowly to reach speech meanwhile, and after a lasting rise of the noise is right again within
    seconds. The variance, not the power, so that an offset of the microphone does not matter.

    Source: a floor that falls fast and rises slowly is that of Doblinger 1995 ("Computationally efficient speech
    enhancement by spectral minima tracking in subbands") in one band; a hangover of 0.2 s is that of ITU-T P.56, and
    that only a burst earns one, of the voice activity detector in ETSI ES 202 050. Constants: ours.

    Loud noise that sets in is taken for speech until the floor has followed; ``SileroActivity``, which costs more, does
    not make this mistake.

    Arguments
    ---------
    sample_rate_hz
        Of the samples.
    margin_db
        How far above the floor speech lies, dB, > 0.
    quiet_db
        What is not louder is never speech, dB relative to full scale, <= 0.
    rise_db_per_s
        How fast the floor follows a rising noise, > 0.
    hangover_s
        Bridged after speech, for soft endings and stops, s, >= 0.

    Shape
    -----
    push: [num_samples] float32 in [-1, 1], any number. Returns [num_frames] bool, for the frames that are now whole.

    Raises
    ------
    ValueError
        If an option is out of range.

    Example
    -------
    >>> tone = np.sin(np.arange(1600)).astype(np.float32)  # 0.1 s, power 1/2
    >>> activity = EnergyActivity(hangover_s=0.04)
    >>> activity.push(np.concatenate([0.001 * tone, 0.1 * tone, 0.001 * tone])).astype(int)
    array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
    """

    name = "energy"

    def __init__(
        self,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        margin_db: float = 6.0,
        quiet_db: float = -65.0,
        rise_db_per_s: float = 3.0,
        hangover_s: float = 0.2,
    ):
        if not (margin_db > 0 and rise_db_per_s > 0 and hangover_s >= 0 and quiet_db <= 0):
            raise ValueError(
                "margin_db and rise_db_per_s must be > 0, hangover_s >= 0 and quiet_db <= 0, got "
                f"{margin_db}, {rise_db_per_s}, {hangover_s} and {quiet_db}."
            )
        self.frame = round(FRAME_S * sample_rate_hz)  # samples
        self.frame_s = self.frame / sample_rate_hz
        self.margin_db = margin_db
        self.quiet_db = quiet_db
        self._rise = rise_db_per_s * FRAME_S
        self._fall = 1.0 - math.exp(-FRAME_S / FALL_S)
        self._hangover = round(hangover_s / FRAME_S)  # frames
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next sample is the first."""
        self._rest = np.zeros(0, dtype=np.float32)  # of a frame that is not whole yet
        self._floor = None
        self._loud = 0  # loud frames in a row
        self._bridged = 0  # frames of hangover that are left

    def push(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) // self.frame * self.frame
        self._rest = samples[whole:].copy()
        frames = samples[:whole].reshape(-1, self.frame)
        levels = np.maximum(10.0 * np.log10(frames.var(axis=1) + 1e-12), self.quiet_db)
        return np.array(self._follow(levels.tolist()), dtype=bool)

    def _follow(self, levels: list[float]) -> list[bool]:
        """Frame by frame; plain floats in local names, as this runs 50 times for every second of sound."""
        floor, loud, bridged = self._floor, self._loud, self._bridged
        active = []
        for level in levels:
            if floor is None:
                floor = min(level, FIRST_FLOOR_DB)
            elif level < floor:
                floor += self._fall * (level - floor)
            else:
                floor = min(level, floor + self._rise)
            is_loud = level > floor + self.margin_db
            loud = loud + 1 if is_loud else 0
            bridged = self._hangover if loud >= BURST_FRAMES else bridged - 1
            active.append(is_loud or bridged >= 0)
        self._floor, self._loud, self._bridged = floor, loud, bridged
        return active


class NoActivity:
    """Everything is speech: for sounds that are known to be, and for voices without words that no detector knows.

    Example
    -------
    >>> NoActivity(sample_rate_hz=8000).push(np.zeros(400, np.float32))
    array([ True,  True])
    """

    name = "off"

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ):
        self.frame = round(FRAME_S * sample_rate_hz)  # samples
        self.frame_s = self.frame / sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next sample is the first."""
        self._rest = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        whole, self._rest = divmod(self._rest + len(samples), self.frame)
        return np.ones(whole, bool)


def open_activity(name: str, sample_rate_hz: int = SAMPLE_RATE_HZ):
    """A detector of speech: an object with ``name``, ``frame_s``, ``push`` and ``reset``.

    Arguments
    ---------
    name
        ``"silero"`` (a network), ``"energy"`` (light), ``"off"`` (all is speech), or ``"auto"``: Silero, or energy
        where the package silero-vad is missing, which the log says once.
    sample_rate_hz
        Of the samples that will be pushed.

    Raises
    ------
    ImportError
        If the package silero-vad is missing and ``"silero"`` is asked for.
    ValueError
        If the name is another.
    """
    if name not in ACTIVITIES:
        raise ValueError(f"activity must be one of {', '.join(ACTIVITIES)}, got {name!r}.")
    if name == "auto":
        name = _available()
    return {"silero": SileroActivity, "energy": EnergyActivity, "off": NoActivity}[name](sample_rate_hz)


@lru_cache(maxsize=1)
def _available() -> str:
    try:
        SileroActivity()
    except ImportError as error:
        logger.warning("speech is found by energy, which takes loud noise for speech: %s", error)
        return "energy"
    return "silero"
