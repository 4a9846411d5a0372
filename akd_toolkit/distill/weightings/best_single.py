"""All trust in one teacher."""

import torch
from torch import Tensor

from akd_toolkit.distill.weightings.base import Weighting
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import WEIGHTINGS


@WEIGHTINGS.register("best_single")
class BestSingle(Weighting):
    """All trust in the teacher of the highest accuracy, the first of equals.

    w[t, b] = 1 if t is the first argmax of accuracy, else 0

    A loss that does not weigh its teachers, such as ``soft_target_kl``, still hears them all.

    Source: the baseline of Dzeroski & Zenko 2004, "Is combining classifiers with stacking better than selecting the
    best one?": selection by cross-validation.

    Arguments
    ---------
    teacher_accuracies
        Filled in by the objective: UA of each teacher on training speakers whom its heads had not heard, in [0, 1].

    Shape
    -----
    teacher.logits [m, batch, classes]. Returns [m, batch], 0 or 1.

    Example
    -------
    >>> weighting = BestSingle(teacher_accuracies=[0.6, 0.7, 0.7])
    >>> weighting(ModelOutput(torch.zeros(1, 3)), TeacherOutput(torch.zeros(3, 1, 3)), labels=None)
    tensor([[0.],
            [1.],
            [0.]])
    """

    example_options = {"teacher_accuracies": [0.7, 0.6]}

    def __init__(self, teacher_accuracies: list[float]):
        super().__init__()
        self.teacher_accuracies = list(teacher_accuracies)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        weights = torch.zeros(teacher.logits.shape[:2], device=teacher.logits.device)
        weights[self.teacher_accuracies.index(max(self.teacher_accuracies))] = 1.0
        return weights
