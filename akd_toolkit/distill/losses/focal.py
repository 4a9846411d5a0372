"""Hard labels, with less weight on utterances that the student already classifies well."""

import torch
from torch import Tensor
from torch.nn import functional

from akd_toolkit.distill.losses.base import Loss, check_not_negative
from akd_toolkit.distill.losses.cross_entropy import class_weights
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("focal")
class Focal(Loss):
    """Focal loss: cross-entropy times (1 - probability of the true class) to the power gamma.

    loss[b] = -v[label[b]] (1 - q)^gamma log q,   q = softmax(z[b])[label[b]]

    The source has two classes; this is its form for several. gamma 0 is ``cross_entropy``.

    Source: Lin, Goyal, Girshick, He & Dollar 2017, "Focal loss for dense object detection", section 3; with
    ``balanced: effective`` the class-balanced focal loss of Cui et al. 2019.
    Shape: logits [batch, classes], labels [batch] -> [batch], in nats, >= 0.

    Arguments
    ---------
    gamma
        >= 0. The larger, the less an utterance counts that is nearly right; the source takes 2.
    balanced, beta
        Class weights v, as in ``cross_entropy``.

    Example
    -------
    >>> Focal(gamma=2.0)(ModelOutput(torch.zeros(1, 4)), None, torch.tensor([2]))  # (3/4)^2 log 4
    tensor([0.7798])
    """

    def __init__(
        self,
        gamma: float = 2.0,
        balanced: bool | str = False,
        beta: float = 0.99,
        class_counts: list[int] | None = None,
    ):
        super().__init__()
        self.gamma = check_not_negative("gamma", gamma)
        self.register_buffer("class_weights", class_weights(balanced, class_counts, beta), persistent=False)

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        surprise = functional.cross_entropy(student.logits.float(), labels, reduction="none")
        # 1 - q without the subtraction; where it is 0, a power below 1 would have no finite gradient.
        doubt = -torch.expm1(-surprise)
        values = doubt.clamp(min=torch.finfo(doubt.dtype).tiny) ** self.gamma * surprise
        return values if self.class_weights is None else values * self.class_weights[labels]
