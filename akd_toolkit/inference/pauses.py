"""A sound without its long pauses, from sound whose end is not known yet."""

import numpy as np

LONGEST_S = 2.0  # a pause up to this is left as it is
KEPT_S = 0.1  # of a longer one, beside the speech


class PauseCutter:
    """Shortens every stretch of more than ``longest_s`` without speech to ``kept_s`` beside the speech.

    What lies before the first and after the last speech is such a stretch too. All else is given unchanged, so that a
    sound without long pauses is given as it is, and one without speech gives nothing, or itself if it is short. The
    result does not depend on how the sound is cut into pieces. Memory: ``longest_s`` and one piece.

    Arguments
    ---------
    sample_rate_hz
        Of the samples.
    frame_s
        Length of a frame of voice activity, s: frame k ends at sample round((k + 1) frame_s sample_rate_hz).
    longest_s, kept_s
        Seconds, 0 <= 2 kept_s <= longest_s.

    Example
    -------
    >>> cutter = PauseCutter(sample_rate_hz=1, frame_s=1.0, longest_s=3.0, kept_s=1.0)
    >>> speech = np.array([0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0], bool)
    >>> cutter.push(np.arange(12), speech).tolist(), cutter.finish().tolist(), cutter.speech_s
    ([3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [], 2.0)
    """

    def __init__(self, sample_rate_hz: int, frame_s: float, longest_s: float = LONGEST_S, kept_s: float = KEPT_S):
        if not 0 <= 2 * kept_s <= longest_s:
            raise ValueError(f"kept_s must be from 0 to half of longest_s, got {kept_s} and {longest_s}.")
        self._frame, self._frame_s = frame_s * sample_rate_hz, frame_s
        self._longest, self._kept = (round(seconds * sample_rate_hz) for seconds in (longest_s, kept_s))
        self._held = np.empty(0, np.float32)  # samples from number _first on, neither given nor left out yet
        self._first = self._frames = self._spoken = 0
        self._pause = 0  # number of the sample at which the last speech ended

    @property
    def speech_s(self) -> float:
        """Seconds of speech in what was pushed."""
        return round(self._spoken * self._frame_s, 3)

    def push(self, samples: np.ndarray, speech: np.ndarray) -> np.ndarray:
        """Samples that are now certain to be kept, after those given before.

        Arguments
        ---------
        samples
            The next ones of the sound: [samples].
        speech
            Whether each frame that they complete is speech: [frames] bool.
        """
        self._held = np.concatenate([self._held, samples])
        changes = np.flatnonzero(np.diff(speech)) + 1
        given = [np.empty(0, np.float32)]
        for stretch in np.split(speech, changes) if len(speech) else ():
            self._frames += len(stretch)
            end = round(self._frames * self._frame)
            if stretch[0]:
                self._spoken += len(stretch)
                given += [self._shortened(round((self._frames - len(stretch)) * self._frame)), self._taken(end)]
                self._pause = end
            else:
                given.append(self._shortened(end))
        return np.concatenate(given)

    def finish(self) -> np.ndarray:
        """The rest of the sound, without its last pause if that is a long one."""
        end = self._first + len(self._held)
        given = self._shortened(end)
        return np.concatenate([given, self._taken(end)]) if end - self._pause <= self._longest else given

    def _shortened(self, end: int) -> np.ndarray:
        """Of a pause that lasts until ``end`` at least: its beginning, if it is a long one; its end stays held."""
        if end - self._pause <= self._longest:
            return np.empty(0, np.float32)
        given = self._taken(self._pause + self._kept) if self._pause else np.empty(0, np.float32)
        self._taken(end - self._kept)
        return given

    def _taken(self, end: int) -> np.ndarray:
        """The samples that are held before number ``end``, which are held no longer."""
        count = max(0, end - self._first)
        taken, self._held = self._held[:count], self._held[count:]
        self._first += len(taken)
        return taken
