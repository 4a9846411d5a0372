"""What a recogniser says hop by hop, and the same told as spans."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """What is known at one time of a stream.

    Arguments
    ---------
    start_s, time_s
        The hop that this moment tells of, in seconds since the stream began: it was heard from ``start_s`` until
        ``time_s``, and the answer rests on nothing later.
    speaking
        Whether there was speech in the hop.
    label
        The decision; None in silence, and where someone speaks but too little has been heard for an answer.
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
    """A stretch of speech with one decision.

    Arguments
    ---------
    start_s, end_s
        Seconds since the sound began.
    probability
        Mean of the label's smoothed probability over the answered hops, each weighted by its length; 0 to 1.
    """

    start_s: float
    end_s: float
    label: str
    probability: float


def timeline(moments: Iterable[Moment]) -> list[Span]:
    """Neighbouring moments with the same label as one span; silence is left out, so spans may have gaps.

    Someone who speaks and has not been answered yet is counted to the span that follows: after the fact it is known.
    Speech that never was answered is left out as silence is.

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
    ...     print(span.start_s, span.end_s, span.label, round(span.probability, 4))
    0.0 2.0 anger 0.75
    3.0 4.5 calm 0.5833
    """
    spans, begun_s, answered = [], None, []
    for moment in moments:
        if answered and moment.label != answered[-1].label:
            spans.append(_span(begun_s, answered))
            begun_s, answered = None, []
        if not moment.speaking:
            begun_s = None
        elif begun_s is None:
            begun_s = moment.start_s
        if moment.label is not None:
            answered.append(moment)
    return [*spans, _span(begun_s, answered)] if answered else spans


def _span(begun_s: float, answered: list[Moment]) -> Span:
    seconds = [moment.time_s - moment.start_s for moment in answered]
    total = sum(length * moment.probability for length, moment in zip(seconds, answered, strict=True))
    return Span(begun_s, answered[-1].time_s, answered[-1].label, total / sum(seconds))
