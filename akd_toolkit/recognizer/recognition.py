"""What was recognised in one sound."""

from dataclasses import asdict, dataclass

from akd_toolkit.recognizer.timeline import Span


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one sound.

    Arguments
    ---------
    label
        The most probable emotion.
    probabilities
        Of every emotion, in the student's order: the mean over the windows of its evaluation, sums to 1.
    duration_s
        Seconds of sound.
    timeline
        Who speaks long enough to be answered is in a span, silence is between them; empty where none was asked for.
    """

    label: str
    probabilities: dict[str, float]
    duration_s: float
    timeline: tuple[Span, ...] = ()

    @property
    def probability(self) -> float:
        """Of the label, 0 to 1."""
        return self.probabilities[self.label]

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return {**asdict(self), "timeline": [asdict(span) for span in self.timeline]}
