"""Confidence intervals over speakers: jackknife t intervals of scores and of differences between two systems.

Utterances of one speaker resemble each other, so speakers, not utterances, count as independent. With ten speakers a
percentile bootstrap of nominally 95 % covers about 90 %; these intervals cover 95 %. They describe new speakers, not
new seeds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Interval(NamedTuple):
    """A score with its confidence limits.

    Example
    -------
    >>> interval = Interval(value=0.8, low=0.75, high=0.85)
    >>> print(interval, interval.columns("ua"))
    80.0 [75.0, 85.0] {'ua': 0.8, 'ua_low': 0.75, 'ua_high': 0.85}
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def columns(self, name: str) -> dict[str, float]:
        """The three numbers as columns of a table: ``name``, ``name_low``, ``name_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def speaker_counts(
    right: ArrayLike, truth: ArrayLike, speaker: ArrayLike, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Correct and all utterances of each speaker in each class.

    ``right`` is 1 where the prediction is correct and 0 where not. With several seeds it is the mean over seeds: WA and
    UA are linear in it, so the score of the counts is the mean score over seeds.

    Shape
    -----
    right, truth (class indices), speaker: [N]. Returns hits and totals, both [S, C], speakers in sorted order.

    Example
    -------
    >>> hits, totals = speaker_counts([1, 0, 1], [0, 0, 1], ["03", "03", "08"], num_classes=2)
    >>> hits.tolist(), totals.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]])
    """
    names, index = np.unique(np.asarray(speaker), return_inverse=True)
    cell = index * num_classes + np.asarray(truth)
    size = len(names) * num_classes
    hits = np.bincount(cell, weights=np.asarray(right, dtype=float), minlength=size)
    totals = np.bincount(cell, minlength=size).astype(float)
    return hits.reshape(-1, num_classes), totals.reshape(-1, num_classes)


def pooled_wa(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """WA of counts summed over speakers: [..., C] -> [...]."""
    return ratio(hits.sum(axis=-1), totals.sum(axis=-1))


def pooled_ua(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """UA of counts summed over speakers, over the classes that have utterances: [..., C] -> [...]."""
    return ratio(np.nansum(ratio(hits, totals), axis=-1), (totals > 0).sum(axis=-1))


SCORES = {"wa": pooled_wa, "ua": pooled_ua}


def ratio(over: ArrayLike, under: ArrayLike) -> np.ndarray:
    """``over`` / ``under``, NaN where ``under`` is not positive."""
    over, under = np.asarray(over, dtype=float), np.asarray(under, dtype=float)
    return np.divide(over, under, out=np.full(np.broadcast(over, under).shape, np.nan), where=under > 0)


def speaker_interval(hits: np.ndarray, totals: np.ndarray, score: str = "ua", level: float = 0.95) -> Interval:
    """Interval of a pooled score (``wa`` or ``ua``) over speakers; see ``jackknife_interval``.

    Shape
    -----
    hits, totals: [S, C], from ``speaker_counts``. The limits lie in [0, 1].

    Example
    -------
    >>> print(speaker_interval(np.array([[3.0], [3.0]]), np.array([[4.0], [4.0]])))  # both speakers score 3/4
    75.0 [75.0, 75.0]
    """
    value, left_out = _value_and_left_out(score, hits, totals)
    return jackknife_interval(value, left_out, level=level, bounds=(0, 1))


def paired_speaker_interval(
    hits_a: np.ndarray, hits_b: np.ndarray, totals: np.ndarray, score: str = "ua", level: float = 0.95
) -> Interval:
    """Interval of score(a) - score(b) over speakers, both systems scored on the same utterances.

    Shape
    -----
    hits_a, hits_b, totals: [S, C], from ``speaker_counts``. The limits lie in [-1, 1].

    Example
    -------
    >>> totals = np.array([[4.0], [4.0]])
    >>> hits_a, hits_b = np.array([[3.0], [2.0]]), np.array([[2.0], [1.0]])  # a has 1 of 4 more, for each speaker
    >>> print(paired_speaker_interval(hits_a, hits_b, totals))
    25.0 [25.0, 25.0]
    """
    (a, a_left_out), (b, b_left_out) = (_value_and_left_out(score, hits, totals) for hits in (hits_a, hits_b))
    return jackknife_interval(a - b, a_left_out - b_left_out, level=level, bounds=(-1, 1))


def group_gap_interval(
    hits: np.ndarray, totals: np.ndarray, first: np.ndarray, second: np.ndarray, score: str = "ua", level: float = 0.95
) -> Interval:
    """Interval of the score of one group of speakers minus that of another, disjoint one (Welch).

    Shape
    -----
    hits, totals: [S, C]. first, second: bool [S]. The limits lie in [-1, 1].
    """
    (a, a_left_out), (b, b_left_out) = (_value_and_left_out(score, hits[own], totals[own]) for own in (first, second))
    return jackknife_interval(a - b, a_left_out, b_left_out, level=level, bounds=(-1, 1))


def jackknife_interval(
    value: float, *left_out: np.ndarray, level: float = 0.95, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """Student's t interval with the jackknife's standard error.

    value +- t(level, df) * sqrt(sum_g v_g),   v_g = (S_g - 1) / S_g * sum_s (left_out_g[s] - mean)^2

    df = S - 1 for one group, after Welch and Satterthwaite for several. Where the error cannot be estimated, because a
    group has one speaker or a score without a speaker is undefined, the interval is the whole of ``bounds``.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 11; Tukey 1958 for the t distribution.

    Arguments
    ---------
    left_out
        For each independent group of speakers the statistic without each of its speakers, [S_g].
    level
        Nominal coverage, in (0, 1).
    bounds
        Smallest and largest possible value of the statistic; limits are clipped to them.

    Example
    -------
    >>> values = np.array([1.0, 2.0, 3.0, 6.0])  # of a mean it is the usual t interval
    >>> interval = jackknife_interval(values.mean(), (values.sum() - values) / 3)
    >>> [round(limit, 3) for limit in interval], np.round(stats.sem(values) * stats.t.ppf(0.975, 3), 3).item()
    ([3.0, -0.437, 6.437], 3.437)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}.")
    value = float(value)
    if np.isnan(value):
        return Interval(value, np.nan, np.nan)
    if any(len(values) < 2 or not np.isfinite(values).all() for values in left_out):
        return Interval(value, *map(float, bounds))
    degrees = np.array([len(values) - 1 for values in left_out])
    variances = np.array([(len(values) - 1) * np.var(values) for values in left_out])
    df = ratio(variances.sum() ** 2, (variances**2 / degrees).sum())
    half = np.sqrt(variances.sum()) * np.nan_to_num(stats.t.ppf((1 + level) / 2, df))
    low, high = np.clip([value - half, value + half], *bounds).tolist()
    return Interval(value, low, high)


def _value_and_left_out(score: str, hits: np.ndarray, totals: np.ndarray) -> tuple[float, np.ndarray]:
    """A pooled score, and the same without each speaker: [S]."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got '{score}'.")
    if hits.shape != totals.shape or hits.ndim != 2:
        raise ValueError(
            f"hits and totals must both be [speakers, classes], got {list(hits.shape)} and {list(totals.shape)}."
        )
    sums = hits.sum(axis=0), totals.sum(axis=0)
    return float(SCORES[score](*sums)), SCORES[score](sums[0] - hits, sums[1] - totals)
