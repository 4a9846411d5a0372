"""No gating."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("always_open")
class AlwaysOpen(Gate):
    """Follow the teachers on every utterance: the gate is 1.

    Source: plain distillation, Hinton, Vinyals & Dean 2015.

    Example
    -------
    >>> AlwaysOpen()(ModelOutput(torch.zeros(2, 3)), TeacherOutput(torch.zeros(1, 2, 3)), torch.tensor([0, 1]))
    tensor([1., 1.])
    """

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        return torch.ones(len(labels), device=labels.device)
