"""What a recogniser answers hop by hop, and the same as spans."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

NO_SPEECH = "no speech"  # instead of an emotion


@dataclass(frozen=True)
class Moment:
    """What is known at one time of a stream.

    Arguments
    ---------
    start_s, time_s
        The hop that this moment is about, in seconds since the stream began; the answer rests on nothing after
        ``time_s``.
    speaking
        Whether there was speech in the hop.
    label
        The decision; None without speech, and where there was too little of it for an answer.
    raw
        Probabilities of the window that ends at ``time_s``, by label; None where the student was not asked.
    smoothed
        The same after smoothing, from which the decision is made; None where ``raw`` is.
    """

    start_s: float
    time_s: float
    speaking: bool
    label: str | None = None
    raw: dict[str, float] | None = None
    smoothed: dict[str, float] | None = None

    @property
    def probability(self) -> float | None:
        """Smoothed probability of the label, 0 to 1; None without a label."""
        return None if self.label is None else self.smoothed[self.label]


@dataclass(frozen=True)
class Span:
    """A stretch of speech with one decision, or of sound without speech.

    Arguments
    ---------
    start_s, end_s
        Seconds since the sound began.
    label
        The decision; ``"no speech"`` where nobody speaks.
    probability
        Mean of the label's smoothed probability over the answered hops, each weighted by its length; 0 to 1. None
        without speech.
    speech
        Whether there is speech.
    """

    start_s: float
    end_s: float
    label: str
    probability: float | None
    speech: bool = True


def timeline(moments: Iterable[Moment]) -> list[Span]:
    """Neighbouring moments with the same label as one span, and neighbouring ones without speech.

    Speech without an answer yet is counted to the span that follows it without a pause, because its label is known
    afterwards. Speech that ends before it had an answer is left out: it is too short for one.

    Example
    -------
    >>> angry, calm = {"anger": 0.75, "calm": 0.25}, {"anger": 0.25, "calm": 0.75}
    >>> moments = [
    ...     Moment(0.0, 1.0, speaking=True),  # too early for an answer
    ...     Moment(1.0, 2.0, speaking=True, label="anger", raw=angry, smoothed=angry),
    ...     Moment(2.0, 3.0, speaking=False),
    ...     Moment(3.0, 4.0, speaking=True, label="calm", raw=calm, smoothed=calm),
    ...     Moment(4.0, 4.5, speaking=True, label="calm", raw=angry, smoothed=angry),
    ... ]
    >>> for span in timeline(moments):  # calm: (1 x 0.75 + 0.5 x 0.25) / 1.5
    ...     print(span.start_s, span.end_s, span.label, span.probability and round(span.probability, 4))
    0.0 2.0 anger 0.75
    2.0 3.0 no speech None
    3.0 4.5 calm 0.5833
    """
    spans, waiting_s = [], None  # since when there is speech without an answer
    for (speaking, label), group in groupby(moments, lambda moment: (moment.speaking, moment.label)):
        group = list(group)
        start_s, end_s = group[0].start_s, group[-1].time_s
        if not speaking:
            spans.append(Span(start_s, end_s, NO_SPEECH, None, speech=False))
        elif label is not None:
            seconds = [moment.time_s - moment.start_s for moment in group]
            total = sum(length * moment.probability for length, moment in zip(seconds, group, strict=True))
            spans.append(Span(start_s if waiting_s is None else waiting_s, end_s, label, total / sum(seconds)))
        waiting_s = start_s if speaking and label is None else None
    return spans
