"""What was recognised in one sound."""

from dataclasses import asdict, dataclass

from akd_toolkit.inference.timeline import NO_SPEECH, Span


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one sound.

    Arguments
    ---------
    label
        The most probable emotion; ``"no speech"`` where none was detected.
    probabilities
        Of every emotion, in the student's order: the mean over the windows of its evaluation, sums to 1. Empty without
        speech.
    duration_s
        Seconds of sound.
    speech_s
        Seconds of it in which speech was detected.
    activity
        What detected it: ``"silero"``, ``"energy"``, or ``"off"``, which takes all for speech.
    timeline
        Spans of speech and of none, see ``timeline``; empty where none was asked for.
    """

    label: str
    probabilities: dict[str, float]
    duration_s: float
    speech_s: float
    activity: str
    timeline: tuple[Span, ...] = ()

    @property
    def speech(self) -> bool:
        """Whether there is speech; without it there is no emotion."""
        return self.label != NO_SPEECH

    @property
    def probability(self) -> float | None:
        """Of the label, 0 to 1; None without speech."""
        return self.probabilities.get(self.label)

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return {**asdict(self), "speech": self.speech, "timeline": [asdict(span) for span in self.timeline]}
