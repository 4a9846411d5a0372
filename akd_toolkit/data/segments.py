"""Overlapping windows of utterances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from akd_toolkit.data.audio import MIN_SAMPLES, SAMPLE_RATE_HZ

if TYPE_CHECKING:  # an exported student runs without it
    from akd_toolkit.data.manifest import Manifest


def cut(manifest: Manifest, window_s: float, overlap_s: float = 0.0) -> list[tuple[int, slice]]:
    """(row, samples at 16 kHz) of windows of ``window_s`` that overlap by ``overlap_s`` and cover every utterance.

    The last window is moved back so that it ends with the utterance. An utterance shorter than a window is one window
    of its own length. Call it with one partition only, so that no utterance has windows in two.

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
    >>> [(place.start, place.stop) for row, place in cut(Manifest("toy", ("neutral",), (row,)), window_s=1.0)]
    [(0, 16000), (16000, 32000), (24000, 40000)]
    """
    window, overlap = round(window_s * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
    if window < MIN_SAMPLES:
        raise ValueError(f"window_s must be at least {MIN_SAMPLES / SAMPLE_RATE_HZ} s, got {window_s}.")
    if not 0 <= overlap < window:
        raise ValueError(f"overlap_s must be in [0, window_s = {window_s}) s, got {overlap_s}.")
    windows = []
    for row, utterance in enumerate(manifest):
        total = round(utterance.duration * SAMPLE_RATE_HZ)
        starts = window_starts(total, window, window - overlap)
        windows += [(row, slice(start, min(start + window, total))) for start in starts]
    return windows


def window_starts(total: int, window: int, step: int) -> list[int]:
    """Where windows begin that cover ``total`` samples: every ``step``, the last one ending with the sound.

    Example
    -------
    >>> window_starts(5, window=2, step=2), window_starts(1, window=2, step=2)
    ([0, 2, 3], [0])
    """
    last = max(0, total - window)
    return [*range(0, last, step), last]
