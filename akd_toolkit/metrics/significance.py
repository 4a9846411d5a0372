"""Tests whether two systems differ on the same utterances, and Holm's correction for several tests."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, permutation_test

EXACT_SPEAKERS = 14  # up to 2^14 = 16,384 sign patterns are counted, beyond that as many are drawn


def speaker_permutation_test(
    hits_a: np.ndarray, hits_b: np.ndarray, totals: np.ndarray, score: str = "ua", seed: int = 0
) -> float:
    """Two-sided p-value of score(a) - score(b) when the two systems are swapped speaker by speaker.

    p = share of sign patterns s in {-1, 1}^S with |sum_k s_k d_k| >= |sum_k d_k|,
    d_k = contribution of speaker k to the difference of the pooled scores

    Up to 14 speakers all patterns are counted, so 10 speakers give at least 2 / 1024 = 0.002.

    Source: Noreen 1989, approximate randomisation, with speakers as the units that are swapped.

    Arguments
    ---------
    score
        ``"wa"`` or ``"ua"``.
    seed
        Of the drawn patterns, with more than 14 speakers.

    Shape
    -----
    hits_a, hits_b, totals: [S, C], from ``intervals.speaker_counts``. Returns a share in (0, 1].

    Example
    -------
    >>> better_for_all_three = np.array([[3.0], [3.0], [4.0]]), np.array([[2.0], [2.0], [2.0]])
    >>> speaker_permutation_test(*better_for_all_three, totals=np.full((3, 1), 4.0))  # 2 of 2^3 patterns
    0.25
    """
    everyone = totals.sum(axis=0)
    present = everyone > 0
    weights = 1 / everyone[present] / present.sum() if score == "ua" else np.full(present.sum(), 1 / everyone.sum())
    parts = [hits[:, present] @ weights for hits in (hits_a, hits_b)]  # [S] each
    if len(parts[0]) < 2:
        return 1.0  # scipy needs two

    def difference(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.sum(a - b, axis=axis)

    found = permutation_test(
        parts, difference, permutation_type="samples", vectorized=True, n_resamples=2**EXACT_SPEAKERS, rng=seed
    )
    return float(found.pvalue)


def mcnemar_exact(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """Two-sided exact p-value that two systems are equally often right on the same utterances.

    p = P(|K - n / 2| >= |k - n / 2|),   K ~ Binomial(n, 1/2)

    n counts the utterances where they differ, k those of them where a is right. Fractions (means over seeds) are
    compared by size, which makes it the sign test. Utterances count as independent, which those of one speaker are
    not: read it together with ``speaker_permutation_test``.

    Source: McNemar 1947, in the exact form that Dietterich 1998 compares.

    Shape
    -----
    right_a, right_b: [N], 1 right, 0 wrong. Returns a share in (0, 1]; 1 where they never differ.

    Example
    -------
    >>> mcnemar_exact([1, 1, 1, 1, 0], [0, 0, 0, 1, 0])  # a wins 3 of 3: 2 / 2^3
    0.25
    """
    right_a, right_b = np.asarray(right_a, dtype=float), np.asarray(right_b, dtype=float)
    if right_a.shape != right_b.shape:
        raise ValueError(
            f"both systems must be scored on the same utterances, got {len(right_a)} and {len(right_b)} of them."
        )
    wins, losses = int((right_a > right_b + 1e-9).sum()), int((right_b > right_a + 1e-9).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def holm(p_values: ArrayLike) -> np.ndarray:
    """P-values corrected for their number by Holm's step-down method: [m] -> [m].

    The k-th smallest, counted from 0, is multiplied by m - k; none may be smaller than the one before it.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    Example
    -------
    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()  # 3 * 0.01, then 2 * 0.03, then 1 * 0.04 but not below 0.06
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=float)
    order = p_values.argsort()
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)), 1)
    return corrected
