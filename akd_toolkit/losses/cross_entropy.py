"""The task itself: hard labels."""

import torch
from torch import Tensor
from torch.nn import functional

from akd_toolkit.losses.base import Loss
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of the student with the hard label, equation (1).

    loss[b] = -v[label[b]] sum_c y[b, c] log softmax(z[b])[c],   y = (1 - s) one_hot(label) + s / classes

    v[c] = 1, or with ``balanced`` N / (classes n[c]), so that every class counts the same in the mean over N training
    utterances; n[c] of them have class c.

    Source: Khan et al. 2026, equation (1); smoothing: Szegedy et al. 2016, section 7.

    Arguments
    ---------
    label_smoothing
        Share s of the target spread evenly over the classes, in [0, 1). 0 is plain cross-entropy.
    balanced
        Whether rare classes count for more.
    class_counts
        Training utterances of each class; filled in by the objective, read only if ``balanced``.

    Shape
    -----
    student.logits [batch, classes], labels [batch]. Returns [batch], in nats, >= 0. The teacher is not looked at.

    Raises
    ------
    ValueError
        If ``label_smoothing`` is outside [0, 1), or ``balanced`` finds a class without a training utterance.

    Example
    -------
    >>> CrossEntropy()(ModelOutput(torch.zeros(1, 4)), None, torch.tensor([2]))  # log 4
    tensor([1.3863])
    """

    def __init__(self, label_smoothing: float = 0.0, balanced: bool = False, class_counts: list[int] | None = None):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}.")
        self.label_smoothing = label_smoothing
        class_weights = None
        if balanced:
            counts = torch.tensor(class_counts or [0], dtype=torch.float)
            if (counts == 0).any():
                raise ValueError(
                    f"balanced needs a training utterance of every class, got class_counts {class_counts}."
                )
            class_weights = counts.sum() / (len(counts) * counts)
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        values = functional.cross_entropy(
            student.logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing
        )
        return values if self.class_weights is None else values * self.class_weights[labels]
