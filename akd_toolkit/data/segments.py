"""Windows cut from the utterances of one partition, after the split and never before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:  # an exported student is run without it
    from akd_toolkit.data.manifest import Manifest


@dataclass(frozen=True)
class Segment:
    """A window of an utterance; ``t_start`` and ``t_end`` are seconds from the utterance's start."""

    utterance_id: str
    speaker: str
    label: int
    t_start: float
    t_end: float

    def samples(self, sample_rate_hz: int = SAMPLE_RATE_HZ) -> slice:
        """Where the window lies in the utterance's waveform."""
        return slice(round(self.t_start * sample_rate_hz), round(self.t_end * sample_rate_hz))


def cut(manifest: Manifest, window_s: float, overlap_s: float = 0.0) -> list[Segment]:
    """Cut every utterance into windows of ``window_s`` that overlap by ``overlap_s``.

    Windows start every ``window_s - overlap_s``; the last one is moved back so that it ends with the utterance and
    nothing is lost. An utterance shorter than a window is one segment of its own length; collation pads it.
    Call it with one partition only, so that no utterance lends windows to two.

    Arguments
    ---------
    window_s
        Seconds, at least 0.1.
    overlap_s
        Seconds shared by neighbours, in [0, window_s).

    Example
    -------
    >>> from akd_toolkit.data.manifest import Manifest, Utterance
    >>> row = Utterance("a1", "/a1.wav", 0, 40000, 2.5, speaker="A", emotion="neutral")
    >>> [(s.t_start, s.t_end) for s in cut(Manifest("toy", ("neutral",), (row,)), window_s=1.0)]
    [(0.0, 1.0), (1.0, 2.0), (1.5, 2.5)]
    """
    window, overlap = round(window_s * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
    if window < MIN_SAMPLES:
        raise ValueError(f"window_s must be at least {MIN_SAMPLES / SAMPLE_RATE_HZ} s, got {window_s}.")
    if not 0 <= overlap < window:
        raise ValueError(f"overlap_s must be in [0, window_s = {window_s}) s, got {overlap_s}.")
    segments = []
    for row, label in zip(manifest, manifest.labels.tolist()):
        total = round(row.duration * SAMPLE_RATE_HZ)
        for start in window_starts(total, window, window - overlap):
            end = min(start + window, total)
            segments.append(Segment(row.id, row.speaker, label, start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ))
    return segments


def window_starts(total: int, window: int, step: int) -> list[int]:
    """Where windows begin that cover ``total`` samples: every ``step``, the last one ending where the sound ends.

    Example
    -------
    >>> window_starts(5, window=2, step=2), window_starts(1, window=2, step=2)
    ([0, 2, 3], [0])
    """
    last = max(0, total - window)
    return [*range(0, last, step), last]
