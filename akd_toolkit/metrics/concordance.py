"""Concordance correlation coefficient (CCC) of predicted values such as valence, as a metric and as a loss."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from akd_toolkit.metrics.intervals import Interval, jackknife_interval, ratio

GUARD = 1e-8  # added to the denominator, in squared units of the values


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Concordance correlation coefficient: 1 where prediction equals truth, 0 where they are unrelated.

    ccc = 2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2),   moments over N utterances, divided by N

    Unlike Pearson's correlation it is lowered by a wrong scale or offset. Utterances with a truth of NaN are left out.
    It is NaN where truth and prediction are the same constant.

    Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", equation (1).

    Shape
    -----
    truth, prediction: [N], on one scale. Returns a number in [-1, 1].

    Raises
    ------
    ValueError
        If the two differ in length, no truth is known, or a prediction is not finite.

    Example
    -------
    >>> ccc([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])  # 2 (2/3) / (2/3 + 2/3 + 1): right up to an offset
    0.5714285714285714
    """
    return ccc_interval(truth, prediction, np.zeros(np.shape(truth))).value


def ccc_interval(truth: ArrayLike, predictions: ArrayLike, speaker: ArrayLike, level: float = 0.95) -> Interval:
    """Pooled CCC, mean over seeds, with its jackknife interval over speakers; see ``jackknife_interval``.

    Shape
    -----
    truth, speaker: [N]. predictions: [N], or [seeds, N].

    Example
    -------
    >>> truth, speaker = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], ["03", "03", "03", "08", "08", "08"]
    >>> print(ccc_interval(truth, truth, speaker))
    100.0 [100.0, 100.0]
    """
    truth, predictions = np.asarray(truth, dtype=float), np.atleast_2d(np.asarray(predictions, dtype=float))
    if truth.ndim != 1 or predictions.shape[1:] != truth.shape:
        raise ValueError(
            f"truth and prediction must hold one value per utterance each, got shapes {list(truth.shape)} "
            f"and {list(predictions.shape)}."
        )
    known = ~np.isnan(truth)
    if not known.any():
        raise ValueError("there is no utterance with a known truth to score; give at least one.")
    if not np.isfinite(predictions[:, known]).all():
        raise ValueError("a prediction is not finite; find the run whose training diverged, and run it again.")
    t, p = truth[known], predictions[:, known]
    centre = t.mean()  # sums of squares of small numbers lose no digits
    t, p = np.broadcast_to(t - centre, p.shape), p - centre
    _, index = np.unique(np.asarray(speaker)[known], return_inverse=True)
    of_speaker = np.eye(index.max() + 1)[index]  # [N, S]
    sums = np.stack([values @ of_speaker for values in (np.ones_like(p), t, p, t * t, p * p, t * p)])  # [6, seeds, S]
    whole = sums.sum(axis=-1, keepdims=True)
    return jackknife_interval(
        _ccc_of_sums(whole).mean(), _ccc_of_sums(whole - sums).mean(axis=0), level=level, bounds=(-1, 1)
    )


def _ccc_of_sums(sums: np.ndarray) -> np.ndarray:
    """CCC from the count and the sums of t, p, t^2, p^2, t p: [6, ...] -> [...]; NaN where all values are equal."""
    count = sums[0]
    t, p, tt, pp, tp = (ratio(part, count) for part in sums[1:])
    spread = tt + pp - 2 * t * p
    return ratio(2 * (tp - t * p), np.where(spread > 1e-12, spread, 0))


def discordances(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Each utterance's share of 1 - CCC, with a gradient: their mean over the known utterances is 1 - CCC exactly.

    share[b] = mean over attributes of (p_b - t_b)^2 / (var(t) + var(p) + (mean(t) - mean(p))^2)

    Moments are those of the batch. A truth of NaN is unknown: it counts in no moment, and an utterance without any
    known truth has share 0. Attributes known for different utterances still weigh the same in the mean.

    Shape
    -----
    prediction, truth: [batch, attributes]. Returns [batch] float32, >= 0.

    Example
    -------
    >>> shares = discordances(torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    >>> shares  # 1 / (2/3 + 2/3 + 1) each
    tensor([0.4286, 0.4286, 0.4286])
    """
    known = ~truth.isnan()
    truth, prediction = truth.float().masked_fill(~known, 0), prediction.float().masked_fill(~known, 0)
    count = known.sum(dim=0)  # [attributes]
    means = [values.sum(dim=0) / count.clamp(min=1) for values in (truth, prediction)]
    spread = (means[0] - means[1]).square()
    for values, mean in zip((truth, prediction), means):
        spread = spread + ((values - mean).square() * known).sum(dim=0) / count.clamp(min=1)
    shares = (prediction - truth).square() / (spread + GUARD)  # [batch, attributes], 0 where unknown
    # An attribute known for half of the utterances is divided by half as many: its known ones count twice.
    return (shares * known.any(dim=1).sum() / count.clamp(min=1)).sum(dim=1) / (count > 0).sum().clamp(min=1)
