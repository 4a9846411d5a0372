"""The task loss on hard labels, and the weights of classes."""

import torch
from torch import Tensor
from torch.nn import functional

from akd_toolkit.distill.losses.base import Loss
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of the student with the hard label, equation (1).

    loss[b] = -v[label[b]] sum_c y[b, c] log softmax(z[b])[c],   y = (1 - s) one_hot(label) + s / classes

    Source: Khan et al. 2026, equation (1); smoothing: Szegedy et al. 2016, section 7; effective numbers: Cui et al.
    2019.
    Shape: logits [batch, classes], labels [batch] -> [batch], in nats, >= 0.

    Arguments
    ---------
    label_smoothing
        Share s of the target that is spread evenly over the classes, in [0, 1). 0 is plain cross-entropy.
    balanced, beta
        Class weights v, see ``class_weights``: false (all 1), true or ``effective``. Do not combine them with
        class-balanced sampling, which already shows rare classes more often.

    Example
    -------
    >>> CrossEntropy()(ModelOutput(torch.zeros(1, 4)), None, torch.tensor([2]))  # log 4
    tensor([1.3863])
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        balanced: bool | str = False,
        class_counts: list[int] | None = None,
        beta: float = 0.99,
    ):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}.")
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", class_weights(balanced, class_counts, beta), persistent=False)

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        values = functional.cross_entropy(
            student.logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing
        )
        return values if self.class_weights is None else values * self.class_weights[labels]


def class_weights(balanced: bool | str, class_counts: list[int] | None, beta: float) -> Tensor | None:
    """Weights v [classes] with mean 1 over the N training utterances, n[c] of class c; None where all count the same.

    True:        v[c] = N / (classes n[c]), so that every class counts the same
    "effective": v[c] = N u[c] / sum over k of n[k] u[k],   u[c] = (1 - beta) / (1 - beta^n[c]),   beta in [0, 1)

    Source: Cui, Jia, Lin, Song & Belongie 2019, "Class-balanced loss based on effective number of samples", whose
    weights sum to the number of classes. beta 0 gives equal weights, beta towards 1 those of True.

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
