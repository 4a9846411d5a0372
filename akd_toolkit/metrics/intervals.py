"""How sure a score or a difference of two scores is: speakers, not utterances, are the independent draws.

Utterances of one speaker resemble each other, so resampling utterances would promise far too narrow
intervals. Everything here starts from hits and totals per speaker and class. Hits may be fractions: with
several seeds they are means over seeds, and since WA and UA are linear in the hits, the result is the mean
score over seeds.

The intervals speak of new speakers, not of new seeds, and with ten speakers or fewer they are somewhat too
narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A score and the limits between which it falls in ``level`` of the resampled corpora.

    Example
    -------
    >>> print(Interval(value=0.8, low=0.75, high=0.85, level=0.95))
    80.0 [75.0, 85.0]
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def speaker_counts(
    right: ArrayLike, truth: ArrayLike, speaker: ArrayLike, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hits and utterances of each speaker in each class.

    Arguments
    ---------
    right
        1 where the utterance was labelled rightly, 0 where not; a mean over seeds lies between.
    truth
        True class indices, 0 to ``num_classes`` - 1.
    speaker
        Name of the speaker of each utterance.

    Shape
    -----
    right, truth, speaker: [N]. Returns hits [S, C] and totals [S, C], speakers in sorted order.

    Example
    -------
    >>> hits, totals = speaker_counts([1, 0, 1], [0, 0, 1], ["03", "03", "08"], num_classes=2)
    >>> hits.tolist(), totals.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]])
    """
    names, index = np.unique(np.asarray(speaker), return_inverse=True)
    cell = index * num_classes + np.asarray(truth)
    shape = (len(names), num_classes)
    hits = np.bincount(cell, weights=np.asarray(right, dtype=float), minlength=np.prod(shape))
    totals = np.bincount(cell, minlength=np.prod(shape)).astype(float)
    return hits.reshape(shape), totals.reshape(shape)


def pooled_wa(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """WA of counts per class: all hits over all utterances.

    Shape
    -----
    hits, totals: [..., C], already summed over speakers. Returns [...].

    Example
    -------
    >>> float(pooled_wa(np.array([3.0, 0.0]), np.array([4.0, 2.0])))
    0.5
    """
    return hits.sum(axis=-1) / totals.sum(axis=-1)


def pooled_ua(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """UA of counts per class: mean of hits over utterances for the classes that have any.

    Shape
    -----
    hits, totals: [..., C], already summed over speakers. Returns [...].

    Example
    -------
    >>> float(pooled_ua(np.array([3.0, 0.0, 0.0]), np.array([4.0, 2.0, 0.0])))  # (3/4 + 0/2) / 2
    0.375
    """
    present = totals > 0
    recalls = np.divide(hits, totals, out=np.zeros(np.broadcast(hits, totals).shape), where=present)
    return recalls.sum(axis=-1) / present.sum(axis=-1)


SCORES = {"wa": pooled_wa, "ua": pooled_ua}


def speaker_bootstrap(
    hits: np.ndarray,
    totals: np.ndarray,
    score: str = "ua",
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a pooled score over speakers drawn with replacement.

    A class that no drawn speaker has spoken is left out of that resample's UA, as UA is defined.

    Source: Efron & Tibshirani 1993, chapter 13; whole clusters as in Field & Welsh 2007.

    Arguments
    ---------
    score
        ``"wa"`` or ``"ua"``.
    level
        Share of the resamples between the limits, in (0, 1).
    num_resamples
        Number of redrawn corpora, >= 1.
    seed
        Of the drawing alone; the same seed gives the same limits.

    Shape
    -----
    hits, totals: [S, C], from ``speaker_counts``. Returns one interval, shares in [0, 1].

    Raises
    ------
    ValueError
        If the shapes differ, or ``score``, ``level`` or ``num_resamples`` is not allowed.

    Example
    -------
    >>> print(speaker_bootstrap(np.array([[3.0], [3.0]]), np.array([[4.0], [4.0]])))  # speakers are alike
    75.0 [75.0, 75.0]
    """
    pooled = check_counts(score, level, num_resamples, hits, totals)
    draws = speaker_draws(len(totals), num_resamples, seed)
    values = pooled(draws @ hits, draws @ totals)
    return interval_of(float(pooled(hits.sum(axis=0), totals.sum(axis=0))), values, level)


def paired_speaker_bootstrap(
    hits_a: np.ndarray,
    hits_b: np.ndarray,
    totals: np.ndarray,
    score: str = "ua",
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile interval of score(a) - score(b): both systems are scored on the same drawn speakers.

    Source: Efron & Tibshirani 1993, chapter 13; paired as in Bisani & Ney 2004. Arguments as
    ``speaker_bootstrap``.

    Shape
    -----
    hits_a, hits_b, totals: [S, C], the same utterances for both systems. Returns one interval, in [-1, 1].

    Example
    -------
    >>> totals = np.array([[4.0], [4.0]])
    >>> hits_a, hits_b = np.array([[3.0], [2.0]]), np.array([[2.0], [1.0]])  # a has 1 of 4 more, with each
    >>> print(paired_speaker_bootstrap(hits_a, hits_b, totals))
    25.0 [25.0, 25.0]
    """
    check_counts(score, level, num_resamples, hits_a, totals)
    pooled = check_counts(score, level, num_resamples, hits_b, totals)
    draws = speaker_draws(len(totals), num_resamples, seed)
    drawn_totals = draws @ totals
    values = pooled(draws @ hits_a, drawn_totals) - pooled(draws @ hits_b, drawn_totals)
    everyone = totals.sum(axis=0)
    difference = pooled(hits_a.sum(axis=0), everyone) - pooled(hits_b.sum(axis=0), everyone)
    return interval_of(float(difference), values, level)


def speaker_draws(num_speakers: int, num_resamples: int, seed: int) -> np.ndarray:
    """How often each speaker is in each redrawn corpus: [num_resamples, S], rows sum to S."""
    shares = np.full(num_speakers, 1.0 / num_speakers)
    return np.random.default_rng(seed).multinomial(num_speakers, shares, size=num_resamples).astype(float)


def interval_of(value: float, values: np.ndarray, level: float) -> Interval:
    """A score with the percentile limits of its resampled ``values``."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


def check_counts(score: str, level: float, num_resamples: int, hits: np.ndarray, totals: np.ndarray):
    """The function of ``score``, once every argument has been found to be allowed."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got '{score}'.")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be >= 1, got {num_resamples}.")
    if hits.shape != totals.shape or hits.ndim != 2:
        raise ValueError(
            f"hits and totals must both be [speakers, classes], got {list(hits.shape)} and {list(totals.shape)}."
        )
    return SCORES[score]
