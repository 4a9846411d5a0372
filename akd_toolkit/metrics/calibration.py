"""How far a system's confidence is from how often it is right."""

import numpy as np
from numpy.typing import ArrayLike


def expected_calibration_error(probs: ArrayLike, truth: ArrayLike, num_bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence.

    ece = sum_k (N_k / N) * |accuracy_k - mean confidence_k|,   bin k = (k / num_bins, (k + 1) / num_bins]

    Confidence is the largest probability; of equal ones the first class counts as predicted.

    Source: Guo, Pleiss, Sun & Weinberger 2017, equation (3).

    Arguments
    ---------
    num_bins
        Bins of equal width, >= 1.

    Shape
    -----
    probs: [N, C], rows sum to 1. truth: [N], class indices. Returns a share in [0, 1].

    Raises
    ------
    ValueError
        If there is no utterance, the two differ in length, or ``num_bins`` is below 1.

    Example
    -------
    >>> expected_calibration_error([[0.75, 0.25], [0.25, 0.75]], [0, 0])  # sure 3/4, right 1/2
    0.25
    """
    probs, truth = np.asarray(probs, dtype=float), np.asarray(truth)
    if probs.ndim != 2 or len(probs) != len(truth) or len(truth) == 0:
        raise ValueError(
            f"probs must be [N, classes] with N >= 1 and truth [N], got {list(probs.shape)} and {list(truth.shape)}."
        )
    if num_bins < 1:
        raise ValueError(f"num_bins must be >= 1, got {num_bins}.")
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == truth
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    # N_k * |accuracy_k - confidence_k| is the size of the sum of differences within the bin.
    gaps = np.bincount(bins, weights=right - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(truth))
