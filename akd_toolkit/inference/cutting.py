"""Evaluation windows of a stream, and shortening of its long pauses."""

from collections.abc import Iterator

import numpy as np

LONGEST_S = 2.0  # pauses up to this are kept
KEPT_S = 0.1  # of a longer pause, at each side next to speech


class WindowCutter:
    """Cuts the same windows from a stream that ``window_starts`` cuts from the whole sound.

    A window of ``size`` samples is returned when more sound follows it, the last one, which ends with the sound, by
    ``finish``; starts are ``step`` samples apart, 1 <= step <= size. A sound shorter than a window is one window.
    """

    def __init__(self, size: int, step: int):
        if not 1 <= step <= size:
            raise ValueError(f"step must be from 1 to size = {size} samples, got {step}.")
        self.size, self.step = size, step
        self._buffer = np.empty(0, np.float32)
        self._next = 0  # start of the next window in the buffer

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The windows that are now complete, as views [size] that hold until the next call."""
        self._buffer = np.concatenate([self._buffer, samples]) if len(self._buffer) else samples
        while self._next + self.size < len(self._buffer):
            yield self._buffer[self._next : self._next + self.size]
            self._next += self.step
        # The last window may begin before the next one would.
        dropped = max(0, len(self._buffer) - self.size)
        self._buffer, self._next = self._buffer[dropped:], self._next - dropped

    def finish(self) -> np.ndarray:
        """The last window, of at most ``size`` samples."""
        return self._buffer


class PauseCutter:
    """Shortens every stretch of more than ``longest_s`` without speech to ``kept_s`` next to the speech.

    The stretches before the first and after the last speech count as well. All else passes unchanged. The result does
    not depend on how the sound is cut into pieces; memory is ``longest_s`` and one piece.

    Frame k of voice activity ends at sample round((k + 1) frame_s sample_rate_hz); 0 <= 2 kept_s <= longest_s.
    """

    def __init__(self, sample_rate_hz: int, frame_s: float, longest_s: float = LONGEST_S, kept_s: float = KEPT_S):
        if not 0 <= 2 * kept_s <= longest_s:
            raise ValueError(f"kept_s must be from 0 to half of longest_s, got {kept_s} and {longest_s}.")
        self._frame, self._frame_s = frame_s * sample_rate_hz, frame_s
        self._longest, self._kept = (round(seconds * sample_rate_hz) for seconds in (longest_s, kept_s))
        self._buffer = np.empty(0, np.float32)  # samples from number _first on, neither returned nor dropped yet
        self._first = self._frames = self._speech_frames = 0
        self._pause = 0  # number of the sample at which the last speech ended

    @property
    def speech_s(self) -> float:
        """Seconds of speech so far."""
        return round(self._speech_frames * self._frame_s, 3)

    def push(self, samples: np.ndarray, speech: np.ndarray) -> np.ndarray:
        """The next samples that are certain to be kept.

        ``speech`` [frames] bool says of each frame that ``samples`` complete whether it is speech.
        """
        self._buffer = np.concatenate([self._buffer, samples])
        kept = [np.empty(0, np.float32)]
        for stretch in np.split(speech, np.flatnonzero(np.diff(speech)) + 1) if len(speech) else ():
            start = round(self._frames * self._frame)
            self._frames += len(stretch)
            end = round(self._frames * self._frame)
            if stretch[0]:
                self._speech_frames += len(stretch)
                kept += [self._shorten(start), self._take(end)]
                self._pause = end
            else:
                kept.append(self._shorten(end))
        return np.concatenate(kept)

    def finish(self) -> np.ndarray:
        """The rest of the sound, without its last pause if that is a long one."""
        end = self._first + len(self._buffer)
        kept = self._shorten(end)
        return np.concatenate([kept, self._take(end)]) if end - self._pause <= self._longest else kept

    def _shorten(self, end: int) -> np.ndarray:
        """The beginning of a pause that lasts at least until ``end``, if it is long; its end stays in the buffer."""
        if end - self._pause <= self._longest:
            return np.empty(0, np.float32)
        kept = self._take(self._pause + self._kept) if self._pause else np.empty(0, np.float32)
        self._take(end - self._kept)
        return kept

    def _take(self, end: int) -> np.ndarray:
        """Removes the samples before number ``end`` from the buffer."""
        count = max(0, end - self._first)
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        self._first += len(taken)
        return taken
