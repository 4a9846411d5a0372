"""The task itself: hard labels."""

from torch import Tensor
from torch.nn import functional

from akd_toolkit.losses.base import Loss
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of the student with the hard label, equation (1).

    loss[b] = -sum_c y[b, c] log softmax(z[b])[c],   y = (1 - s) one_hot(label) + s / classes

    Source: Khan et al. 2026, equation (1); smoothing: Szegedy et al. 2016, section 7.

    Arguments
    ---------
    label_smoothing
        Share s of the target spread evenly over the classes, in [0, 1). 0 is plain cross-entropy.

    Shape
    -----
    student.logits [batch, classes], labels [batch]. Returns [batch], in nats, >= 0. The teacher is not looked at.

    Raises
    ------
    ValueError
        If ``label_smoothing`` is outside [0, 1).

    Example
    -------
    >>> import torch
    >>> CrossEntropy()(ModelOutput(torch.zeros(1, 4)), None, torch.tensor([2]))  # log 4
    tensor([1.3863])
    """

    def __init__(self, label_smoothing: float = 0.0):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}.")
        self.label_smoothing = label_smoothing

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            student.logits.float(), labels, reduction="none", label_smoothing=self.label_smoothing
        )
