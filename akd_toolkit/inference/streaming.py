"""Emotions of a live stream: one answer a hop, the same however the samples arrive."""

import math

import numpy as np

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ
from akd_toolkit.data.reader import MAX_PEAK
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.arrays import FULL_SCALE, scaled, whole_numbers_hint
from akd_toolkit.inference.engine import Engine
from akd_toolkit.inference.timeline import Moment

SPEECH_SHARE = 0.25  # of a hop's frames must be active for the hop to count as speech


class SmoothedDecision:
    """Exponential smoothing of posteriors, then a decision that does not flicker.

    s[0] = p[0],   s[k] = s[k-1] + a (p[k] - s[k-1])   with a = 1 - exp(-seconds / smoothing_s)
    d[0] = argmax s[0],   d[k] = c if class c = argmax s has led d[k-1] by more than ``margin`` in every answer of the
    last ``hold_s`` seconds, at least in this one; else d[k-1]

    Source: exponential smoothing (Brown 1956). A margin and a time for which it must hold before a state is left are
    the hysteresis and the time to trigger of a telephone that changes its cell (3GPP TS 36.331, event A3).

    Arguments
    ---------
    smoothing_s
        Time constant, s, >= 0; 0 takes every answer as it is.
    margin
        Lead in smoothed probability that a new class needs, in [0, 1).
    hold_s
        For how long it must lead, s, >= 0; each answer counts the seconds since the one before.

    Shape
    -----
    update: [classes] probabilities, seconds since the last answer. Returns the smoothed [classes] and the decision.

    Example
    -------
    >>> half = math.log(2)  # seconds in which a = 1/2
    >>> decision = SmoothedDecision(smoothing_s=1.0, margin=0.1, hold_s=2 * half)
    >>> for p in ([0.75, 0.25], [0.25, 0.75], [0.25, 0.75], [0.25, 0.75]):
    ...     smoothed, chosen = decision.update(np.array(p), seconds=half)
    ...     print([round(float(s), 4) for s in smoothed], chosen)
    [0.75, 0.25] 0
    [0.5, 0.5] 0
    [0.375, 0.625] 0
    [0.3125, 0.6875] 1
    """

    def __init__(self, smoothing_s: float, margin: float, hold_s: float):
        if not (smoothing_s >= 0 and 0 <= margin < 1 and hold_s >= 0):
            raise ValueError(
                f"smoothing_s and hold_s must be >= 0 and margin in [0, 1), got {smoothing_s}, {hold_s} and {margin}."
            )
        self.smoothing_s, self.margin, self.hold_s = smoothing_s, margin, hold_s
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next answer is a first one."""
        self._smoothed = self._chosen = self._rival = None
        self._led_s = 0.0  # for how long the rival has led

    def update(self, probabilities: np.ndarray, seconds: float) -> tuple[np.ndarray, int]:
        if self._smoothed is None:
            self._smoothed = probabilities.astype(np.float64)
            self._chosen = int(probabilities.argmax())
            return self._smoothed, self._chosen
        share = 1.0 - math.exp(-seconds / self.smoothing_s) if self.smoothing_s else 1.0
        self._smoothed = smoothed = self._smoothed + share * (probabilities - self._smoothed)
        best = int(smoothed.argmax())
        if not smoothed[best] > smoothed[self._chosen] + self.margin:
            self._rival = None
            return smoothed, self._chosen
        self._led_s = self._led_s + seconds if best == self._rival else seconds
        self._rival = best
        if self._led_s >= self.hold_s - 1e-9:  # a sum of hops may fall short by its rounding
            self._chosen, self._rival = best, None
        return smoothed, self._chosen


class StreamingRecognizer:
    """Push samples as they come, get a moment for every hop that they complete.

    Hop k ends at sample k * hop. Its window is the last ``window_s`` of the engine, or less: it does not reach back
    over a pause of ``pause_s`` or more, nor before the stream, and an answer needs ``min_s`` of it. A hop in which
    fewer than a quarter of the frames are active has no speech: no label, and no call of the student.

    While speech after a pause has not filled a window, each answer stands for itself: its window holds all of the one
    before, and more. From then on answers are smoothed, and the decision changes with hysteresis.

    What is answered depends on the samples alone, never on how they were cut: nothing is computed before a hop is
    whole, and windows are answered one by one. Memory is one window and one hop, however long the stream.

    A hop with samples that are not finite or above a peak of 2 is refused with an error and counts as zeros. The
    stream goes on: the moments of a push that raised are given by the next one.

    Arguments
    ---------
    engine
        A trained student, see ``open_engine``.
    hop_s
        Seconds between two answers, at least 0.1 and at most the engine's window.
    smoothing_s, margin, hold_s
        See ``SmoothedDecision``.
    min_s
        Speech needed for the first answer, s, at least 0.1 and at most the engine's window.
    pause_s
        Hops without speech after which what follows is taken for something new, s, > 0.
    activity
        What detects speech: a name, see ``open_activity``, or an object with ``push(samples) -> bool per frame`` and
        ``reset()``. It is given one hop at a time; a hop that completes none of its frames has no speech.

    Shape
    -----
    push: [num_samples] at the engine's rate, any number: floats in [-1, 1], or uint8, int16 or int32 as sound cards
    give them. Returns a list of ``Moment``.

    Raises
    ------
    ValueError
        If an option is out of range, the samples are not one channel of numbers in range, or the student has no
        answer.

    Example
    -------
    >>> sure = Engine("none", ("calm", "angry"), window_s=3.0, overlap_s=0.0, answer=lambda x: np.array([[0.25, 0.75]]))
    >>> recognizer = StreamingRecognizer(sure, hop_s=1.0, activity="energy")
    >>> sound = np.random.default_rng(0).uniform(-0.1, 0.1, 24000)  # 1.5 s
    >>> [(m.time_s, m.label, m.probability) for m in recognizer.push(sound) + recognizer.push(0.0 * sound)]
    [(1.0, 'angry', 0.75), (2.0, 'angry', 0.75), (3.0, None, None)]
    """

    def __init__(
        self,
        engine: Engine,
        hop_s: float = 1.0,
        smoothing_s: float = 0.5,
        margin: float = 0.2,
        hold_s: float = 1.0,
        min_s: float = 1.0,
        pause_s: float = 1.0,
        activity="auto",
    ):
        shortest_s = MIN_SAMPLES / SAMPLE_RATE_HZ
        for name, seconds in (("hop_s", hop_s), ("min_s", min_s)):
            if not shortest_s <= seconds <= engine.window_s:
                raise ValueError(
                    f"{name} must be from {shortest_s} s to the window of {engine.window_s} s, got {seconds}."
                )
        if not pause_s > 0:
            raise ValueError(f"pause_s must be > 0, got {pause_s}.")
        self.engine = engine
        rate = engine.sample_rate_hz
        self._rate = rate
        self._hop, self._window, self._least, self._pause = (
            round(seconds * rate) for seconds in (hop_s, engine.window_s, min_s, pause_s)
        )
        self.activity = open_activity(activity, rate) if isinstance(activity, str) else activity
        self._decision = SmoothedDecision(smoothing_s, margin, hold_s)
        self._buffer = np.zeros(self._window + self._hop, dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next sample is at 0 s."""
        self._filled = 0  # samples in the buffer
        self._fresh = 0  # of these, the last that no moment has told of yet
        self._heard = 0  # samples told of since the stream began
        self._speech = 0  # samples since speech set in after a pause; 0 in a pause
        self._silence = 0  # samples since a hop with speech
        self._moments = []  # not given yet
        self.activity.reset()
        self._decision.reset()

    def push(self, samples: np.ndarray) -> list[Moment]:
        """The moments of all hops that these samples complete."""
        samples = _one_channel(samples)
        problems = []
        at, total = 0, len(samples)
        while at < total:
            if not self._fresh:
                self._make_room()
            taken = min(total - at, self._hop - self._fresh)
            self._buffer[self._filled : self._filled + taken] = samples[at : at + taken]
            self._filled += taken
            self._fresh += taken
            at += taken
            if self._fresh == self._hop:
                problems += self._silenced()
                self._tell()
        if problems:
            raise ValueError(problems[0])
        return self._given()

    def finish(self) -> list[Moment]:
        """The moment of the hop that the end cuts short, if it has a frame of voice activity; then all is reset."""
        try:
            if self._fresh:
                if problems := self._silenced():
                    raise ValueError(problems[0])
                self._tell()
            return self._given()
        finally:
            self.reset()

    def _given(self) -> list[Moment]:
        moments, self._moments = self._moments, []
        return moments

    def _make_room(self) -> None:
        """For one more hop: what no later window reaches goes."""
        if self._filled + self._hop > len(self._buffer):
            keep = len(self._buffer) - self._hop
            self._buffer[:keep] = self._buffer[self._filled - keep : self._filled]
            self._filled = keep

    def _silenced(self) -> list[str]:
        """What is wrong with the fresh samples, if anything is: then they become silence."""
        samples = self._buffer[self._filled - self._fresh : self._filled]
        peak = np.abs(samples).max()
        if peak <= MAX_PEAK:  # NaN is not
            return []
        samples[:] = 0.0
        start_s, time_s = self._heard / self._rate, (self._heard + self._fresh) / self._rate
        return [
            f"samples reach {peak:.3g} between {start_s:g} and {time_s:g} s; they must be finite and lie in [-1, 1], "
            "so scale them."
        ]

    def _tell(self) -> None:
        """Make the moment of the fresh samples; of a hop cut short none, if it has no frame of voice activity."""
        fresh, self._fresh = self._fresh, 0  # told of once, even if the student fails or is interrupted
        start_s = self._heard / self._rate
        self._heard += fresh
        time_s = self._heard / self._rate
        active = self.activity.push(self._buffer[self._filled - fresh : self._filled])
        if not len(active) and fresh < self._hop:
            return
        speaking = len(active) > 0 and bool(np.count_nonzero(active) >= SPEECH_SHARE * len(active))
        self._follow_turn(speaking, fresh)
        size = min(self._window, self._speech)
        moment = Moment(start_s, time_s, speaking)
        if speaking and size >= self._least:
            if self._speech <= self._window:
                self._decision.reset()
            raw = self.engine(self._buffer[None, self._filled - size : self._filled])[0]
            smoothed, chosen = self._decision.update(raw, fresh / self._rate)
            labels = self.engine.label_order
            raw, smoothed = (dict(zip(labels, values.tolist())) for values in (raw, smoothed))
            moment = Moment(start_s, time_s, speaking, labels[chosen], raw, smoothed)
        self._moments.append(moment)

    def _follow_turn(self, speaking: bool, samples: int) -> None:
        self._silence = 0 if speaking else self._silence + samples
        if speaking or self._speech:
            self._speech += samples
        if self._silence >= self._pause:
            self._speech = 0


def _one_channel(samples) -> np.ndarray:
    samples = np.asarray(samples)
    if samples.ndim != 1 or (samples.dtype.kind != "f" and samples.dtype.name not in FULL_SCALE):
        raise ValueError(
            f"samples have shape {list(samples.shape)} and type {samples.dtype}; give one channel of floats in "
            f"[-1, 1], or of {', '.join(FULL_SCALE)} as sound cards do{whole_numbers_hint(samples.dtype)}."
        )
    return samples if samples.dtype == np.float32 else scaled(samples)
