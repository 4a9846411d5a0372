"""What the recognisers return: a moment per hop, spans of a timeline, one recognition per sound."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby

NO_SPEECH = "no speech"  # instead of an emotion


@dataclass(frozen=True)
class Moment:
    """The result of one hop of a stream.

    ``start_s`` and ``time_s`` are start and end of the hop, in seconds since the stream began. ``label`` is None
    without speech and where there was too little of it; ``raw`` and ``smoothed`` are the probabilities by label of the
    window that ends at ``time_s``, before and after smoothing.
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
    """A stretch of speech with one decision, or of sound without speech (``label`` "no speech", no probability).

    ``probability`` is the mean of the label's smoothed probability over the hops, weighted by their length.
    """

    start_s: float
    end_s: float
    label: str
    probability: float | None
    speech: bool = True


def timeline(moments: Iterable[Moment]) -> list[Span]:
    """Merges neighbouring moments with the same label, and neighbouring ones without speech.

    Speech without a label yet belongs to the span that follows it without a pause. Speech that ends before it got a
    label is left out.

    Example
    -------
    >>> first = Moment(0.0, 1.0, speaking=True)  # too little speech for a label
    >>> timeline([first, Moment(1.0, 2.0, True, "anger", smoothed={"anger": 0.75, "calm": 0.25})])
    [Span(start_s=0.0, end_s=2.0, label='anger', probability=0.75, speech=True)]
    """
    spans, unlabelled_from = [], None
    for (speaking, label), group in groupby(moments, lambda moment: (moment.speaking, moment.label)):
        group = list(group)
        start_s, end_s = group[0].start_s, group[-1].time_s
        if not speaking:
            spans.append(Span(start_s, end_s, NO_SPEECH, None, speech=False))
        elif label is not None:
            seconds = [moment.time_s - moment.start_s for moment in group]
            total = sum(length * moment.probability for length, moment in zip(seconds, group, strict=True))
            begin = start_s if unlabelled_from is None else unlabelled_from
            spans.append(Span(begin, end_s, label, total / sum(seconds)))
        unlabelled_from = start_s if speaking and label is None else None
    return spans


@dataclass(frozen=True)
class Recognition:
    """The result for one sound."""

    label: str  # the most probable emotion, or "no speech"
    probabilities: dict[str, float]  # in the student's order: means over the evaluation windows; empty without speech
    duration_s: float
    speech_s: float  # seconds with speech
    activity: str  # the speech detector
    timeline: tuple[Span, ...] = ()  # empty if not requested

    @property
    def speech(self) -> bool:
        """Whether there is speech."""
        return self.label != NO_SPEECH

    @property
    def probability(self) -> float | None:
        """Of the label, 0 to 1; None without speech."""
        return self.probabilities.get(self.label)

    def as_dict(self) -> dict:
        """Plain data for JSON."""
        return {**asdict(self), "speech": self.speech, "timeline": [asdict(span) for span in self.timeline]}
