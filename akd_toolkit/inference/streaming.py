"""Emotions of a live stream: one result per hop, whatever the size of the pushed pieces."""

import math
from collections.abc import Iterable

import numpy as np

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ
from akd_toolkit.data.reader import MAX_PEAK
from akd_toolkit.inference.activity import open_activity
from akd_toolkit.inference.engine import Engine
from akd_toolkit.inference.results import Moment
from akd_toolkit.inference.sound import check_sample_type, scaled

SPEECH_SHARE = 0.25  # of a hop's frames must be active for the hop to count as speech


class SmoothedDecision:
    """Exponential smoothing of posteriors, then a decision with hysteresis.

    s[0] = p[0],   s[k] = s[k-1] + a (p[k] - s[k-1])   with a = 1 - exp(-seconds / smoothing_s)
    d[0] = argmax s[0],   d[k] = c if class c = argmax s has led d[k-1] by more than ``margin`` in every update of the
    last ``hold_s`` seconds, at least in this one; else d[k-1]

    Source: exponential smoothing (Brown 1956); margin and hold time are the hysteresis and the time to trigger of a
    cell change in mobile phones (3GPP TS 36.331, event A3).

    ``smoothing_s`` >= 0 is the time constant (0 does not smooth), ``margin`` in [0, 1) the lead in smoothed probability
    that a new class needs, ``hold_s`` >= 0 how long it must lead.

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
            given = f"{smoothing_s}, {hold_s} and {margin}"
            raise ValueError(f"smoothing_s and hold_s must be >= 0 and margin in [0, 1), got {given}.")
        self.smoothing_s, self.margin, self.hold_s = smoothing_s, margin, hold_s
        self.reset()

    def reset(self) -> None:
        """Reset the state; the next update counts as the first."""
        self._smoothed = self._chosen = self._rival = None
        self._lead_s = 0.0  # how long the rival has led

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
        self._lead_s = self._lead_s + seconds if best == self._rival else seconds
        self._rival = best
        if self._lead_s >= self.hold_s - 1e-9:  # a sum of hops may fall short by its rounding
            self._chosen, self._rival = best, None
        return smoothed, self._chosen


class StreamingRecognizer:
    """Push samples as they come, get a moment for every hop that they complete.

    Hop k ends at sample k * hop. Its window is the last ``window_s`` of the engine, but does not reach back over a
    pause of ``pause_s`` or more; it needs at least ``min_s``. A hop in which fewer than a quarter of the frames are
    active has no speech: no label, and no call of the student.

    Until speech after a pause fills a window, each hop's probabilities are used as they are, because its window holds
    all of the one before. From then on they are smoothed, and the decision changes with hysteresis.

    Moments depend on the samples alone, not on how they were cut into pieces. Memory is one window and two hops.

    A hop with samples that are not finite or above a peak of 2 raises an error and counts as zeros. The stream goes
    on: the moments of a push that raised are returned by the next one.

    Arguments
    ---------
    hop_s, min_s
        Seconds between two results, and of speech for the first label: from 0.1 to the engine's window.
    smoothing_s, margin, hold_s
        See ``SmoothedDecision``.
    pause_s
        A pause of this length starts a new turn, s, > 0.
    activity
        The speech detector: a name, see ``open_activity``, or an object with ``push(samples) -> bool per frame`` and
        ``reset()``. It gets one hop at a time; a hop that completes none of its frames has no speech.

    Shape
    -----
    push: [num_samples] at the engine's rate, any number: floats in [-1, 1], or uint8, int16 or int32. Returns a list
    of ``Moment``.

    Example
    -------
    >>> sure = Engine("none", ("calm", "angry"), 3.0, 0.0, predict=lambda x: np.array([[0.25, 0.75]]))
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
        for name, given in (("hop_s", hop_s), ("min_s", min_s)):
            if not shortest_s <= given <= engine.window_s:
                raise ValueError(
                    f"{name} must be from {shortest_s} s to the window of {engine.window_s} s, got {given}."
                )
        if not pause_s > 0:
            raise ValueError(f"pause_s must be > 0, got {pause_s}.")
        self.engine, self._rate = engine, engine.sample_rate_hz
        self.options = {"hop_s": hop_s, "min_s": min_s, "pause_s": pause_s}
        self.options |= {"smoothing_s": smoothing_s, "margin": margin, "hold_s": hold_s}
        self._hop, self._window, self._min, self._pause = (
            round(seconds * self._rate) for seconds in (hop_s, engine.window_s, min_s, pause_s)
        )
        self.activity = open_activity(activity, self._rate) if isinstance(activity, str) else activity
        self._decision = SmoothedDecision(smoothing_s, margin, hold_s)
        self.reset()

    def reset(self) -> None:
        """Start a new stream; the next sample is at 0 s."""
        self._rest = np.zeros(0, np.float32)  # an incomplete hop
        self._past = np.zeros(0, np.float32)  # at most a window
        self._position = 0  # samples processed since the stream began
        self._turn = 0  # samples since speech began after a pause; 0 within a pause
        self._silence = 0  # samples since a hop with speech
        self._moments = []  # not returned yet
        self.activity.reset()
        self._decision.reset()

    def push(self, samples: np.ndarray) -> list[Moment]:
        """The moments of all hops that these samples complete."""
        samples = np.asarray(samples)
        check_sample_type(samples, "the stream")
        if samples.ndim != 1:
            raise ValueError(f"samples have the shape {list(samples.shape)}; give one channel, [samples].")
        samples = np.concatenate([self._rest, scaled(samples)])
        num_hops = len(samples) // self._hop
        self._rest = samples[num_hops * self._hop :].copy()
        return self._process(samples[: num_hops * self._hop].reshape(num_hops, self._hop))

    def finish(self) -> list[Moment]:
        """The moment of the last, incomplete hop, if it has a frame of voice activity; then starts a new stream."""
        try:
            return self._process([self._rest] if len(self._rest) else [])
        finally:
            self.reset()

    def _process(self, hops: Iterable[np.ndarray]) -> list[Moment]:
        errors = []
        for hop in hops:
            self._process_one(hop, errors)
        if errors:
            raise ValueError(errors[0])
        moments, self._moments = self._moments, []
        return moments

    def _process_one(self, hop: np.ndarray, errors: list[str]) -> None:
        """Append the moment of one hop, unless it is incomplete and has no frame of voice activity."""
        start_s, time_s = (samples / self._rate for samples in (self._position, self._position + len(hop)))
        self._position += len(hop)
        if not (peak := np.abs(hop).max()) <= MAX_PEAK:  # catches NaN as well
            hop = np.zeros_like(hop)
            where = f"between {start_s:g} and {time_s:g} s"
            errors.append(f"samples reach {peak:.3g} {where}; they must be finite and lie in [-1, 1], so scale them.")
        self._past = np.concatenate([self._past, hop])[-self._window :]
        active = self.activity.push(hop)
        if not len(active) and len(hop) < self._hop:
            return
        speaking = len(active) > 0 and bool(np.count_nonzero(active) >= SPEECH_SHARE * len(active))
        self._silence = 0 if speaking else self._silence + len(hop)
        if self._silence >= self._pause:
            self._turn = 0
        elif speaking or self._turn:
            self._turn += len(hop)
        size = min(self._window, self._turn)
        moment = Moment(start_s, time_s, speaking)
        if speaking and size >= self._min:
            if self._turn <= self._window:
                self._decision.reset()
            raw = self.engine(self._past[None, -size:])[0]
            smoothed, chosen = self._decision.update(raw, len(hop) / self._rate)
            labels = self.engine.label_order
            raw, smoothed = (dict(zip(labels, values.tolist())) for values in (raw, smoothed))
            moment = Moment(start_s, time_s, speaking, labels[chosen], raw, smoothed)
        self._moments.append(moment)
