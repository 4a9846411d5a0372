"""Another sampling rate for sound that comes piece by piece."""

import math
from functools import lru_cache

import numpy as np

HALF_WIDTH = 10  # of the kernel, in samples of the slower rate; scipy's own choice, as is the window
KAISER_BETA = 5.0


class Resampler:
    """Resamples piece by piece to what ``scipy.signal.resample_poly`` makes of the whole, however the pieces are cut.

    y[m] = sum_k h[m down + reach - k up] x[k],   up / down = to_hz / from_hz in lowest terms, reach = 10 max(up, down)

    An output is given as soon as every input that it needs is there: ``reach / up`` samples later. Memory: one piece,
    and at most ``down`` samples and twice the reach of the kernel.

    Source: ``resample_poly`` of scipy: h is a low-pass of 2 reach + 1 values, windowed by a Kaiser window, beta = 5.

    Arguments
    ---------
    from_hz, to_hz
        Sampling rates, whole numbers >= 1.

    Raises
    ------
    ValueError
        If a rate is below 1.

    Example
    -------
    >>> from scipy.signal import resample_poly
    >>> x = np.sin(np.arange(4410.0, dtype=np.float32))
    >>> resampler = Resampler(44100, 16000)
    >>> pieces = [resampler.push(x[:7]), resampler.push(x[7:3000]), resampler.push(x[3000:]), resampler.finish()]
    >>> bool((np.concatenate(pieces) == resample_poly(x, 160, 441)).all())
    True
    """

    def __init__(self, from_hz: int, to_hz: int):
        if from_hz < 1 or to_hz < 1:
            raise ValueError(f"sampling rates must be >= 1 Hz, got {from_hz} and {to_hz}.")
        common = math.gcd(from_hz, to_hz)
        self.up, self.down = to_hz // common, from_hz // common
        self._reach = 0 if self.up == self.down else HALF_WIDTH * max(self.up, self.down)
        self._held = np.empty(0, np.float32)  # inputs from number _first on
        self._first = 0  # a multiple of down, so that a piece's outputs fall on those of the whole
        self._given = 0  # outputs

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The outputs that ``samples`` [samples] makes known: float32 [outputs], often none for a short piece."""
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples.astype(np.float32)
        heard = self._first + len(self._held)
        return self._take(max(self._given, ((heard - 1) * self.up - self._reach) // self.down + 1))

    def finish(self) -> np.ndarray:
        """The outputs that were still waiting, as if zeros followed. Nothing can be pushed afterwards."""
        return self._take(-(-(self._first + len(self._held)) * self.up // self.down))

    def _take(self, stop: int) -> np.ndarray:
        """Outputs up to number ``stop``; inputs that no later one needs are forgotten."""
        if stop == self._given:
            return np.empty(0, np.float32)
        offset = self._first * self.up // self.down  # number of the first output of what is held
        piece = self._held if self._reach == 0 else self._resampled()
        found = piece[self._given - offset : stop - offset]
        self._given = stop
        needed = max(0, -(-(stop * self.down - self._reach) // self.up))
        keep_from = needed // self.down * self.down
        self._held, self._first = self._held[keep_from - self._first :], keep_from
        return found

    def _resampled(self) -> np.ndarray:
        from scipy.signal import resample_poly  # here, because it takes its time

        return resample_poly(self._held, self.up, self.down, window=_kernel(max(self.up, self.down)))


@lru_cache(maxsize=4)
def _kernel(rate: int) -> np.ndarray:
    """The low-pass that ``resample_poly`` would design for float32 every time it is called."""
    from scipy.signal import firwin

    return firwin(2 * HALF_WIDTH * rate + 1, 1.0 / rate, window=("kaiser", KAISER_BETA)).astype(np.float32)
