"""Whether two systems differ on the same utterances: a test that swaps speakers, and McNemar's test.

Hits and totals per speaker and class come from ``intervals.speaker_counts``.
"""

from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from akd_toolkit.metrics.intervals import NUM_RESAMPLES, check_counts

EXACT_SPEAKERS = 14  # up to 2^14 = 16,384 sign patterns are counted instead of drawn


def speaker_permutation_test(
    hits_a: np.ndarray,
    hits_b: np.ndarray,
    totals: np.ndarray,
    score: str = "ua",
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> float:
    """Two-sided p-value of score(a) - score(b) when the two systems are swapped speaker by speaker.

    p = share of sign patterns s in {-1, 1}^S with |sum_k s_k d_k| >= |sum_k d_k|,
    d_k = what speaker k adds to the difference of the pooled scores

    Up to 14 speakers every pattern is counted, so 10 speakers cannot give less than 2 / 1024 = 0.002; beyond,
    patterns are drawn and the observed one is added to them, so p is never 0.

    Source: Noreen 1989, approximate randomisation, with the speaker as the unit that is swapped.

    Arguments
    ---------
    score
        ``"wa"`` or ``"ua"``.
    num_resamples
        Number of drawn patterns where they are too many to count, >= 1.
    seed
        Of the drawing alone.

    Shape
    -----
    hits_a, hits_b, totals: [S, C], the same utterances for both systems. Returns a share in (0, 1].

    Example
    -------
    >>> better_for_all_three = np.array([[3.0], [3.0], [4.0]]), np.array([[2.0], [2.0], [2.0]])
    >>> speaker_permutation_test(*better_for_all_three, totals=np.full((3, 1), 4.0))  # 2 of 2^3 patterns
    0.25
    """
    check_counts(score, 0.95, num_resamples, hits_a, totals)
    check_counts(score, 0.95, num_resamples, hits_b, totals)
    everyone = totals.sum(axis=0)
    if score == "wa":
        parts = (hits_a - hits_b).sum(axis=1) / everyone.sum()  # [S]
    else:
        present = everyone > 0
        parts = ((hits_a - hits_b)[:, present] / everyone[present]).mean(axis=1)  # [S]
    exact = len(parts) <= EXACT_SPEAKERS
    if exact:
        signs = np.array(list(product([1.0, -1.0], repeat=len(parts))))  # [2^S, S]
    else:
        signs = np.random.default_rng(seed).choice([1.0, -1.0], size=(num_resamples, len(parts)))
    # Sums in another order differ in the last bits; a pattern as extreme as the observed one must count.
    extreme = np.abs(signs @ parts) >= abs(parts.sum()) - 1e-12
    return float(extreme.mean()) if exact else float((1 + extreme.sum()) / (1 + len(extreme)))


def mcnemar_exact(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """Two-sided exact p-value that two systems are equally often right on the same utterances.

    p = P(|K - n / 2| >= |k - n / 2|),   K ~ Binomial(n, 1/2)

    n counts the utterances where they differ, k those of them where a is right.

    Fractions (means over seeds) are compared by size, which makes it the sign test. Utterances are taken as
    independent, which those of one speaker are not: read it beside ``speaker_permutation_test``.

    Source: McNemar 1947, in the exact form that Dietterich 1998 compares.

    Shape
    -----
    right_a, right_b: [N], 1 right, 0 wrong. Returns a share in (0, 1]; 1 where they never differ.

    Raises
    ------
    ValueError
        If the two differ in length.

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
    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0
