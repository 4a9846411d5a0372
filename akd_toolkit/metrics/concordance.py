"""How well predicted values, such as valence, agree with the true ones: the concordance correlation coefficient."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from akd_toolkit.metrics.intervals import NUM_RESAMPLES, Interval, interval_of, speaker_draws

GUARD = 1e-8  # of a spread that is 0, in squared units of the values


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Concordance correlation coefficient: 1 where prediction equals truth, 0 where they have nothing in common.

    ccc = 2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2),   moments over N utterances, divided by N

    Unlike Pearson's correlation it falls when the predictions are right up to a factor or an offset. Utterances whose
    truth is NaN are left out. It is NaN where nothing moves: truth and prediction are one and the same constant.

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
    sums = _sums(truth, prediction, np.zeros(np.shape(truth)))[0]
    return float(_ccc_of_sums(sums.sum(axis=0)))


def speaker_bootstrap_ccc(
    truth: ArrayLike,
    predictions: ArrayLike,
    speaker: ArrayLike,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the pooled CCC over speakers drawn with replacement; several seeds give their mean.

    Source: as ``speaker_bootstrap``.

    Shape
    -----
    truth, speaker: [N]. predictions: [N], or [seeds, N]. Returns one interval.

    Example
    -------
    >>> truth, speaker = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], ["03", "03", "03", "08", "08", "08"]
    >>> print(speaker_bootstrap_ccc(truth, truth, speaker))  # speakers are alike, and all is right
    100.0 [100.0, 100.0]
    """
    sums = _sums(truth, predictions, speaker)  # [seeds, S, 6]
    values = _ccc_of_sums(speaker_draws(sums.shape[1], num_resamples, seed) @ sums).mean(axis=0)
    values = values[~np.isnan(values)]  # a redrawn corpus in which nothing moves says nothing
    return interval_of(float(_ccc_of_sums(sums.sum(axis=1)).mean()), values if len(values) else np.nan, level)


def discordances(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Each utterance's share of 1 - CCC, with a gradient: their mean over the known utterances is 1 - CCC exactly.

    share[b] = mean over attributes of (p_b - t_b)^2 / (var(t) + var(p) + (mean(t) - mean(p))^2)

    Moments are those of the batch. A truth of NaN is unknown: it counts in no moment, and an utterance of which nothing
    is known has share 0. Attributes known for different utterances still weigh the same in the mean.

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


def _sums(truth: ArrayLike, predictions: ArrayLike, speaker: ArrayLike) -> np.ndarray:
    """Count and sums of t, p, t^2, p^2, t p of each speaker's known utterances: [seeds, S, 6]."""
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
        raise ValueError("a prediction is not finite; look for the run whose training broke off, and run it again.")
    t, p = truth[known], predictions[:, known]
    centre = t.mean()  # sums of squares of small numbers lose no digits
    t, p = np.broadcast_to(t - centre, p.shape), p - centre
    _, index = np.unique(np.asarray(speaker)[known], return_inverse=True)
    of_speaker = np.eye(index.max() + 1)[index]  # [N, S]
    return np.stack([values @ of_speaker for values in (np.ones_like(p), t, p, t * t, p * p, t * p)], axis=-1)


def _ccc_of_sums(sums: np.ndarray) -> np.ndarray:
    """CCC of summed statistics [..., 6] -> [...]; NaN where nothing moves."""
    count, t, p, tt, pp, tp = np.moveaxis(sums, -1, 0)
    covariance = tp / count - t * p / count**2
    spread = (tt + pp) / count - (t**2 + p**2) / count**2 + ((t - p) / count) ** 2
    return np.divide(2 * covariance, spread, out=np.full(np.shape(spread), np.nan), where=spread > 1e-12)
