"""How much each class counts in a mean over training utterances."""

import torch
from torch import Tensor


def class_weights(balanced: bool | str, class_counts: list[int] | None, beta: float) -> Tensor | None:
    """Weights v [classes] whose mean over the N training utterances is 1, or None where all count the same.

    True:        v[c] = N / (classes n[c]), so that every class counts the same
    "effective": v[c] = N u[c] / sum over k of n[k] u[k],   u[c] = (1 - beta) / (1 - beta^n[c])

    Source: Cui, Jia, Lin, Song & Belongie 2019, "Class-balanced loss based on effective number of samples", whose
    weights sum to the number of classes; here their mean over utterances is 1, as for True, which is the limit of
    beta to 1. beta 0 gives equal weights.

    Arguments
    ---------
    class_counts
        n: training utterances of each class.
    beta
        In [0, 1): 1 / (1 - beta) utterances of a class are about all that it has to say.

    Raises
    ------
    ValueError
        If ``balanced`` or ``beta`` is none of these, or a class has no training utterance.

    Example
    -------
    >>> class_weights(True, [30, 10], beta=0.99)
    tensor([0.6667, 2.0000])
    >>> class_weights("effective", [2, 1], beta=0.5)  # u is 2/3 and 1; their mean over three utterances 7/9
    tensor([0.8571, 1.2857])
    """
    if not isinstance(balanced, bool) and balanced != "effective":
        raise ValueError(f"balanced must be false, true or effective, got {balanced!r}.")
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}.")
    if not balanced:
        return None
    counts = torch.tensor(class_counts or [0], dtype=torch.float)
    if (counts == 0).any():
        raise ValueError(f"balanced needs a training utterance of every class, got class_counts {class_counts}.")
    if balanced is True:
        return counts.sum() / (len(counts) * counts)
    units = (1 - beta) / (1 - beta ** counts.double())
    return (counts.sum() * units / (counts * units).sum()).float()
