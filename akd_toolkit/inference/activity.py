"""Voice activity detection: the Silero network, a light energy detector, or none."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.inference.session import open_session
from akd_toolkit.inference.sound import Resampler

FRAME_S = 0.02  # of energy and off
# silero_vad_16k_sequence.onnx of the package silero-vad 6.2.3, which is not a requirement because it requires PyTorch.
SILERO = Path(__file__).with_name("silero_vad") / "model.onnx"


class SileroActivity:
    """Voice activity of a stream by a small network, one decision per 32 ms that uses nothing later.

    sure[t] = p[t] >= 0.25  and  var[t] > 2 min(var[0], ..., var[t])
    active[t] = sure[t]  or  p[t] >= 0.05 and a frame of the last second is active

    p[t] is the network's probability of speech in frame t, var[t] the variance of its samples. At the usual threshold
    of 0.5 the network misses shouts, children and single short words; steady noise stays below 0.25 except for the
    first frames of a loud hum, which the variance excludes. ``tools/speech_check.py`` counts both kinds of errors.

    Source: Silero VAD 6 (https://github.com/snakers4/silero-vad, MIT licence); its ONNX file for many frames per call
    lies beside this file.

    Another ``sample_rate_hz`` than 16 000 is resampled. ``push`` takes [num_samples] float32 in [-1, 1] and returns
    [num_frames] bool for the frames that are now complete.
    """

    name = "silero"
    frame, context = 512, 64  # samples of a frame, and of the end of the one before, which the network reads as well
    frame_s = frame / SAMPLE_RATE_HZ
    max_frames = 512  # per call: 16 s
    threshold, low_threshold = 0.25, 0.05  # probability at which speech begins, and at which it continues
    bridged_s = 1.0

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ):
        self.sample_rate_hz = sample_rate_hz
        self._session = _silero_session()
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._resampler = Resampler(self.sample_rate_hz, SAMPLE_RATE_HZ)
        self._rest = np.zeros(self.context, np.float32)  # the context and an incomplete frame
        self._state = [np.zeros((1, 1, 128), np.float32)] * 2
        self._min_variance = np.inf
        self._since_active = self.max_frames  # frames

    def push(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, self._resampler.push(samples)])
        count = (len(samples) - self.context) // self.frame
        self._rest = samples[count * self.frame :]
        active = [np.zeros(0, bool)]
        for first in range(0, count, self.max_frames):
            part = samples[first * self.frame : min(count, first + self.max_frames) * self.frame + self.context]
            frames = np.lib.stride_tricks.sliding_window_view(part, self.context + self.frame)[:: self.frame]
            inputs = dict(zip("hc", self._state), input=np.ascontiguousarray(frames))
            probabilities, *self._state = self._session.run(["speech_probs", "hn", "cn"], inputs)
            active.append(self._decide(probabilities, frames[:, self.context :].var(axis=1)))
        return np.concatenate(active)

    def _decide(self, probabilities: np.ndarray, variances: np.ndarray) -> np.ndarray:
        minima = np.minimum.accumulate(np.minimum(variances, self._min_variance))
        self._min_variance = minima[-1]
        active = (probabilities >= self.threshold) & (variances > 2.0 * minima)
        for frame, may_continue in enumerate((probabilities >= self.low_threshold).tolist()):
            active[frame] |= may_continue and self._since_active * self.frame_s < self.bridged_s
            self._since_active = 0 if active[frame] else self._since_active + 1
        return active


@lru_cache(maxsize=1)
def _silero_session():
    return open_session(SILERO)


class EnergyActivity:
    """Voice activity of a stream by its level over an adaptive noise floor, one decision per 20 ms.

    level[t] = max(-65, 10 log10 of the variance of frame t's samples)              dB re full scale
    floor[t] = floor[t-1] + 0.18 (level[t] - floor[t-1])         where the level is below the floor
    floor[t] = min(level[t], floor[t-1] + 0.06)                  elsewhere: 3 dB per second
    loud[t]  = level[t] > floor[t] + 6
    active[t] = loud[t], or t is within 0.2 s after three or more loud frames in a row

    with 0.18 = 1 - exp(-20 ms / 100 ms) and floor[0] = min(level[0], -40), as a stream may begin within speech. The
    variance ignores an offset of the microphone. Loud noise that sets in counts as speech until the floor has risen.

    Source: the fast-falling, slow-rising floor is that of Doblinger 1995 ("Computationally efficient speech
    enhancement by spectral minima tracking in subbands") in one band; the hangover of 0.2 s is that of ITU-T P.56, and
    that only a burst starts one, of ETSI ES 202 050. Constants: ours.

    Example
    -------
    >>> tone = np.sin(np.arange(1600)).astype(np.float32)  # 0.1 s, power 1/2
    >>> active = EnergyActivity().push(np.concatenate([0.001 * tone, 0.1 * tone, *6 * [0.001 * tone]]))
    >>> np.flatnonzero(np.diff(active)).tolist()  # the last frames before and of the speech with its hangover
    [4, 19]
    """

    name = "energy"
    margin_db, quiet_db, rise_db = 6.0, -65.0, 3.0 * FRAME_S
    fall = 1.0 - math.exp(-FRAME_S / 0.1)
    hangover = 10  # frames

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ):
        self.frame = round(FRAME_S * sample_rate_hz)  # samples
        self.frame_s = self.frame / sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._rest = np.zeros(0, dtype=np.float32)  # an incomplete frame
        self._floor = None
        self._loud_frames = self._hangover_left = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, samples])
        end = len(samples) // self.frame * self.frame
        self._rest = samples[end:].copy()
        variances = samples[:end].reshape(-1, self.frame).var(axis=1)
        levels = np.maximum(10.0 * np.log10(variances + 1e-12), self.quiet_db)
        return np.array([self._is_active(level) for level in levels.tolist()], dtype=bool)

    def _is_active(self, level: float) -> bool:
        if self._floor is None:
            self._floor = min(level, -40.0)
        elif level < self._floor:
            self._floor += self.fall * (level - self._floor)
        else:
            self._floor = min(level, self._floor + self.rise_db)
        loud = level > self._floor + self.margin_db
        self._loud_frames = self._loud_frames + 1 if loud else 0
        self._hangover_left = self.hangover if self._loud_frames >= 3 else self._hangover_left - 1
        return loud or self._hangover_left >= 0


class NoActivity:
    """No detection: every frame of 20 ms counts as speech."""

    name = "off"

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ):
        self.frame = round(FRAME_S * sample_rate_hz)  # samples
        self.frame_s = self.frame / sample_rate_hz
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._rest = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        count, self._rest = divmod(self._rest + len(samples), self.frame)
        return np.ones(count, bool)


ACTIVITIES = {"auto": SileroActivity, "silero": SileroActivity, "energy": EnergyActivity, "off": NoActivity}


def open_activity(name: str, sample_rate_hz: int = SAMPLE_RATE_HZ):
    """A speech detector with ``name``, ``frame_s``, ``push`` and ``reset``: one of ``ACTIVITIES``, else ValueError."""
    if name not in ACTIVITIES:
        raise ValueError(f"activity must be one of {', '.join(ACTIVITIES)}, got {name!r}.")
    return ACTIVITIES[name](sample_rate_hz)
