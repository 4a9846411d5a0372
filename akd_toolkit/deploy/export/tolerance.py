"""How far an exported file may be from its module, by precision, and whether it is farther."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

PRECISIONS = ("fp32", "fp16", "int8")
CERTAIN = 0.01  # a run is refused when chance would make it as bad less often than this
_QUANTILE = 2.326  # of a normal distribution, one side, for the same certainty


@dataclass(frozen=True)
class Tolerance:
    """Limits for one precision.

    Arguments
    ---------
    probability
        Largest difference of one probability on the pieces of speech of ``speech_batches``, 0 to 1.
    changed
        Share of utterances whose decision may change, 0 to 1.
    ua
        Unweighted accuracy that may be lost, 0 to 1.
    """

    probability: float
    changed: float
    ua: float


# In 32 bits only the order of sums differs. Fewer bits move every probability, and what counts then are decisions; the
# largest difference over 15 micro CNNs of EmoDB was 0.003 and 0.045, and may be three times that.
TOLERANCES = {
    "fp32": Tolerance(probability=1e-4, changed=0.0, ua=0.0),
    "fp16": Tolerance(probability=0.01, changed=0.005, ua=0.005),
    "int8": Tolerance(probability=0.15, changed=0.02, ua=0.005),
}


def check_decisions(name: str, precision: str, before, after, truth=None) -> None:
    """Refuse a file that decides otherwise than its module, on more held-out utterances than its precision may.

    A few utterances cannot prove a share of 2 %: of 60, one is 1.7 % and two are 3.3 %. So the file is refused when
    it is beyond the tolerance for certain: when a file that changes just the tolerated share would change as many
    decisions as this one in less than 1 % of such samples (binomial), or when the loss of UA less 2.3 of its standard
    errors exceeds the tolerance. At a tolerance of 0 one changed decision is enough.

    Arguments
    ---------
    name
        Of the file, for the sentence.
    before, after, truth
        Labels [n]: the module's decisions, the file's, and the true ones if they are known.

    Raises
    ------
    ValueError
        If it is beyond its tolerance.

    Example
    -------
    >>> truth = np.repeat([0, 1], 30)
    >>> check_decisions("student.int8.onnx", "int8", truth, np.where(np.arange(60) < 2, 1, truth), truth)
    >>> check_decisions("student.int8.onnx", "int8", truth, np.where(np.arange(60) < 9, 1, truth), truth)
    Traceback (most recent call last):
    ValueError: student.int8.onnx decides 9 of 60 utterances otherwise than its module, more than the 2 % that int8 \
may change: do not use it; take a higher precision, or more calibration.
    """
    limits = TOLERANCES[precision]
    before, after = np.asarray(before), np.asarray(after)
    changed, total = int((before != after).sum()), len(before)
    cure = "do not use it; take a higher precision, or more calibration."
    # P(X >= changed): how often a file at the very edge of the tolerance would change as many.
    if changed > limits.changed * total and binom.sf(changed - 1, total, limits.changed) < CERTAIN:
        raise ValueError(
            f"{name} decides {changed} of {total} utterances otherwise than its module, more than the "
            f"{100 * limits.changed:g} % that {precision} may change: {cure}"
        )
    loss, error = (0.0, 0.0) if truth is None else ua_loss(truth, before, after)
    if loss - _QUANTILE * error > limits.ua:
        raise ValueError(
            f"{name} loses {100 * loss:.1f} points of UA on {total} utterances, more than the {100 * limits.ua:g} that "
            f"{precision} may lose: {cure}"
        )


def ua_loss(truth, before, after) -> tuple[float, float]:
    """UA lost from ``before`` to ``after``, and the standard error of that loss.

    The loss is the mean over classes of the mean over its utterances of d = hit before - hit after, which is -1, 0
    or 1; its variance the mean over classes of mean(d^2) / n, divided once more by their number. Squares are not taken
    about the mean of d, because of a class with one utterance nothing is certain.

    Example
    -------
    >>> loss, error = ua_loss([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0])  # class 1: d = 0 and 1
    >>> loss, round(error, 4)  # 0.5 / 2 and sqrt((0.5 / 2) / 4)
    (0.25, 0.25)
    """
    truth, before, after = (np.asarray(values) for values in (truth, before, after))
    lost = (before == truth).astype(float) - (after == truth)
    by_class = [lost[truth == label] for label in np.unique(truth)]
    variance = sum(np.mean(d**2) / len(d) for d in by_class) / len(by_class) ** 2
    return float(np.mean([d.mean() for d in by_class])), float(np.sqrt(variance))
