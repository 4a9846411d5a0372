"""Calibration of probabilities: likelihood, Brier score, expected calibration error, and temperature scaling."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

LEAST = 1e-12  # probability used instead of 0, so that one confident mistake is not infinitely bad
NUM_BINS = 15
COOLEST, HOTTEST = 0.05, 20.0


def negative_log_likelihood(probs: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """nll[n] = -log p[n, truth[n]] of each utterance, in nats; a probability below 1e-12 counts as 1e-12.

    Shape
    -----
    probs: [N, C]. truth: [N], class indices. Returns [N].

    Example
    -------
    >>> negative_log_likelihood([[0.5, 0.5], [0.0, 1.0]], [0, 1]).round(4).tolist()
    [0.6931, 0.0]
    """
    probs, truth = _checked(probs, truth)
    return 0.0 - np.log(np.maximum(probs[np.arange(len(truth)), truth], LEAST))


def brier_score(probs: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """brier[n] = sum_c (p[n, c] - [c = truth[n]])^2 of each utterance, in [0, 2].

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".

    Shape
    -----
    probs: [N, C]. truth: [N], class indices. Returns [N].

    Example
    -------
    >>> brier_score([[0.5, 0.5], [0.0, 1.0]], [0, 0]).tolist()
    [0.5, 2.0]
    """
    probs, truth = _checked(probs, truth)
    return np.square(probs - np.eye(probs.shape[1])[truth]).sum(axis=1)


def confidence_bins(probs: ArrayLike, truth: ArrayLike, num_bins: int = NUM_BINS) -> tuple[np.ndarray, np.ndarray]:
    """Bin of each utterance by its confidence, the largest probability, and its correctness minus its confidence.

    bin k = (k / num_bins, (k + 1) / num_bins],   gap[n] = [argmax_c p[n, c] = truth[n]] - confidence[n]

    Shape
    -----
    probs: [N, C]. truth: [N], class indices. Returns bins [N] from 0, and gaps [N].

    Example
    -------
    >>> bins, gaps = confidence_bins([[0.75, 0.25], [0.5, 0.5]], [0, 1], num_bins=4)
    >>> bins.tolist(), gaps.tolist()
    ([2, 1], [0.25, -0.5])
    """
    probs, truth = _checked(probs, truth)
    if num_bins < 1:
        raise ValueError(f"num_bins must be >= 1, got {num_bins}.")
    confidence = probs.max(axis=1)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    return bins, (probs.argmax(axis=1) == truth) - confidence


def expected_calibration_error(probs: ArrayLike, truth: ArrayLike, num_bins: int = NUM_BINS) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, a share in [0, 1].

    ece = sum_k (N_k / N) * |accuracy_k - mean confidence_k|,   bins as in ``confidence_bins``

    Source: Guo, Pleiss, Sun & Weinberger 2017, equation (3).

    Shape
    -----
    probs: [N, C], rows sum to 1. truth: [N], class indices.

    Example
    -------
    >>> expected_calibration_error([[0.75, 0.25], [0.25, 0.75]], [0, 0])  # confidence 3/4, accuracy 1/2
    0.25
    """
    bins, gaps = confidence_bins(probs, truth, num_bins)
    # N_k * |accuracy_k - confidence_k| is the absolute sum of the gaps in bin k.
    return float(np.abs(np.bincount(bins, weights=gaps)).sum() / len(gaps))


def tempered(probs: ArrayLike, temperature: float) -> np.ndarray:
    """Probabilities made softer (temperature above 1) or sharper (below 1); their order stays.

    q[n, c] = p[n, c]^(1 / T) / sum_k p[n, k]^(1 / T),   the softmax of log p / T

    Posteriors that are means over windows have no logits; log p is used instead.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", section 4.2.

    Shape
    -----
    probs: [N, C]. Returns [N, C], rows sum to 1.

    Example
    -------
    >>> tempered([[0.9, 0.1]], 2.0).round(4).tolist()  # 3 : 1
    [[0.75, 0.25]]
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}.")
    logits = np.log(np.maximum(np.asarray(probs, dtype=float), LEAST)) / temperature
    return softmax(logits, axis=1)


def best_temperature(probs: ArrayLike, truth: ArrayLike) -> float:
    """The temperature with the least mean negative log-likelihood, between 0.05 and 20.

    Example
    -------
    >>> confident = [[0.999, 0.001]] * 4  # but wrong once in four: 3 : 1 is right
    >>> round(best_temperature(confident, [0, 0, 0, 1]), 3)  # ln 999 / ln 3
    6.287
    """
    probs, truth = _checked(probs, truth)
    return least_temperature(lambda temperature: negative_log_likelihood(tempered(probs, temperature), truth).mean())


def least_temperature(loss: Callable[[float], float]) -> float:
    """The temperature in [0.05, 20] with the least ``loss``, by golden-section search on its logarithm to 1e-6.

    Stored teacher targets were calibrated with exactly these steps; scipy's search would change them by rounding.

    Source: Kiefer 1953, "Sequential minimax search for a maximum".

    Example
    -------
    >>> round(least_temperature(lambda temperature: (temperature - 3) ** 2), 5)
    3.0
    """
    low, high = np.log(COOLEST), np.log(HOTTEST)
    golden = (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    left_loss, right_loss = loss(np.exp(left)), loss(np.exp(right))
    while high - low > 1e-6:
        if left_loss < right_loss:
            high, right, right_loss = right, left, left_loss
            left = high - golden * (high - low)
            left_loss = loss(np.exp(left))
        else:
            low, left, left_loss = left, right, right_loss
            right = low + golden * (high - low)
            right_loss = loss(np.exp(right))
    return float(np.exp((low + high) / 2))


def _checked(probs: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    probs, truth = np.asarray(probs, dtype=float), np.asarray(truth)
    if probs.ndim != 2 or len(probs) != len(truth) or len(truth) == 0:
        raise ValueError(
            f"probs must be [N, classes] with N >= 1 and truth [N], got {list(probs.shape)} and {list(truth.shape)}."
        )
    return probs, truth
