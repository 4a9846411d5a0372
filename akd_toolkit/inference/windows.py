"""The windows of evaluation, cut from sound whose end is not known yet."""

from collections.abc import Iterator

import numpy as np


class WindowCutter:
    """Cuts, from sound that comes piece by piece, the windows that ``window_starts`` cuts from the whole.

    A window is given as soon as it is certain that the sound goes on beyond it; the last one, which ends where the
    sound ends, by ``finish``. A sound shorter than a window is one window of its own length. Memory: one window and
    one piece.

    Arguments
    ---------
    size, step
        Length of a window and distance between starts, in samples; 1 <= step <= size.

    Example
    -------
    >>> cutter = WindowCutter(size=2, step=2)
    >>> [w.tolist() for w in cutter.push(np.arange(3))], [w.tolist() for w in cutter.push(np.arange(3, 5))]
    ([[0, 1]], [[2, 3]])
    >>> cutter.finish().tolist()
    [3, 4]
    """

    def __init__(self, size: int, step: int):
        if not 1 <= step <= size:
            raise ValueError(f"step must be from 1 to size = {size} samples, got {step}.")
        self.size, self.step = size, step
        self._held = np.empty(0, np.float32)
        self._next = 0  # where in what is held the next window starts

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The windows that are now certain, as views [size] that hold until the next call."""
        self._held = np.concatenate([self._held, samples]) if len(self._held) else samples
        while self._next + self.size < len(self._held):
            yield self._held[self._next : self._next + self.size]
            self._next += self.step
        # The last window may begin before the next one would.
        forgotten = max(0, len(self._held) - self.size)
        self._held, self._next = self._held[forgotten:], self._next - forgotten

    def finish(self) -> np.ndarray:
        """The last window, of at most ``size`` samples."""
        return self._held
