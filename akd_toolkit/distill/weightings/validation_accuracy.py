"""Trust by what each teacher has shown on speakers that it had not heard."""

import torch
from torch import Tensor

from akd_toolkit.distill.weightings.base import Weighting
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import WEIGHTINGS


@WEIGHTINGS.register("validation_accuracy")
class ValidationAccuracy(Weighting):
    """More trust in the teacher of the higher accuracy, the same for every utterance.

    w[t, b] = softmax over teachers t of accuracy[t] / temperature

    A lead of ``temperature`` makes a teacher e = 2.7 times as heavy. Towards 0 it becomes ``best_single``, towards
    infinity ``uniform``. Nothing is learned.

    Source: Freund & Schapire 1997, algorithm Hedge, whose weights are beta^error: here beta = exp(-1 / temperature).
    The usual baseline with fixed weights in multi-teacher distillation.

    Arguments
    ---------
    teacher_accuracies
        Filled in by the objective: UA of each teacher on training speakers whom its heads had not heard, in [0, 1].
    temperature
        Lead in UA that counts e-fold, > 0; 0.1 is ten points.

    Shape
    -----
    teacher.logits [m, batch, classes]. Returns [m, batch].

    Raises
    ------
    ValueError
        If ``temperature`` is not positive, or an accuracy is outside [0, 1].

    Example
    -------
    >>> weighting = ValidationAccuracy(teacher_accuracies=[0.7, 0.6], temperature=0.1)
    >>> weighting(ModelOutput(torch.zeros(1, 3)), TeacherOutput(torch.zeros(2, 1, 3)), labels=None)  # sigmoid(1)
    tensor([[0.7311],
            [0.2689]])
    """

    example_options = {"teacher_accuracies": [0.7, 0.6]}

    def __init__(self, teacher_accuracies: list[float], temperature: float = 0.1):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be > 0, got {temperature}.")
        if not all(0 <= accuracy <= 1 for accuracy in teacher_accuracies):
            raise ValueError(f"teacher_accuracies must be shares in [0, 1], got {list(teacher_accuracies)}.")
        self.teacher_accuracies = list(teacher_accuracies)
        self.temperature = temperature

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        accuracies = torch.tensor(self.teacher_accuracies, device=teacher.logits.device)
        shares = torch.softmax(accuracies / self.temperature, dim=0)
        return shares[:, None].repeat(1, teacher.logits.shape[1])  # [m, batch]
