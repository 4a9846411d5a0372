"""The task itself: hard labels."""

from torch import Tensor
from torch.nn import functional

from akd_toolkit.distill.losses.base import Loss
from akd_toolkit.distill.losses.class_weights import class_weights
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("cross_entropy")
class CrossEntropy(Loss):
    """Cross-entropy of the student with the hard label, equation (1).

    loss[b] = -v[label[b]] sum_c y[b, c] log softmax(z[b])[c],   y = (1 - s) one_hot(label) + s / classes

    v[c] = 1, or with ``balanced: true`` N / (classes n[c]), so that every class counts the same in the mean over N
    training utterances; n[c] of them have class c. ``balanced: effective`` lies between the two, see ``class_weights``.

    Source: Khan et al. 2026, equation (1); smoothing: Szegedy et al. 2016, section 7; effective numbers: Cui et al.
    2019.

    Arguments
    ---------
    label_smoothing
        Share s of the target spread evenly over the classes, in [0, 1). 0 is plain cross-entropy.
    balanced
        Whether rare classes count for more: false, true or effective. Not together with class-balanced sampling, which
        shows them more often already.
    beta
        Of the effective number, in [0, 1); read only if ``balanced`` is effective.
    class_counts
        Training utterances of each class; filled in by the objective, read only if ``balanced``.

    Shape
    -----
    student.logits [batch, classes], labels [batch]. Returns [batch], in nats, >= 0. The teacher is not looked at.

    Raises
    ------
    ValueError
        If ``label_smoothing`` or ``beta`` is outside [0, 1), or ``balanced`` finds a class without a training
        utterance.

    Example
    -------
    >>> import torch
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
