"""Calibration of probabilities: likelihood, Brier score, bins of confidence, and the temperature that corrects them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

LEAST = 1e-12  # probability that stands in for 0, so that one sure mistake is not infinitely bad
NUM_BINS = 15
COOLEST, HOTTEST = 0.05, 20.0


def negative_log_likelihood(probs: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """Surprise at the true class of each utterance, in nats; a probability below 1e-12 counts as that.

    nll[n] = -log p[n, truth[n]]

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
    """Squared distance of each row of probabilities from the truth, in [0, 2].

    brier[n] = sum_c (p[n, c] - [c = truth[n]])^2

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
    """Bin of each utterance by its largest probability, and how far it is right beyond that confidence.

    bin k = (k / num_bins, (k + 1) / num_bins],   gap[n] = [prediction is right] - confidence

    ``expected_calibration_error`` is the sum over bins of |sum of gaps| / N.

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
    confidence = probs.max(axis=1)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    return bins, (probs.argmax(axis=1) == truth) - confidence


def tempered(probs: ArrayLike, temperature: float) -> np.ndarray:
    """Probabilities made softer (temperature above 1) or sharper (below); their order stays.

    q[n, c] = p[n, c]^(1 / T) / sum_k p[n, k]^(1 / T),   the softmax of log p / T

    Where posteriors are means over windows there are no logits; log p stands in for them.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", section 4.2.

    Arguments
    ---------
    temperature
        Above 0; 1 changes nothing.

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
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def best_temperature(probs: ArrayLike, truth: ArrayLike) -> float:
    """The temperature of least mean negative log-likelihood, between 0.05 and 20; see ``least_temperature``.

    Example
    -------
    >>> sure = [[0.999, 0.001]] * 4  # and wrong once in four: 3 : 1 is right
    >>> round(best_temperature(sure, [0, 0, 0, 1]), 3)  # ln 999 / ln 3
    6.287
    """
    probs, truth = _checked(probs, truth)
    return least_temperature(lambda temperature: negative_log_likelihood(tempered(probs, temperature), truth).mean())


def least_temperature(loss: Callable[[float], float]) -> float:
    """The temperature from 0.05 to 20 at which ``loss`` is least, by golden-section search on its logarithm to 1e-6.

    There is one valley where the loss is a likelihood of logits, which is convex in 1 / temperature. Stored targets of
    teachers were calibrated by exactly these steps, which a search of scipy would move by rounding.

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
