"""The paper's gate: it closes as the teachers' error on the true class grows."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate, check_theta
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_error")
class TeacherError(Gate):
    """One minus the teachers' error on the true class, shut above ``theta``, equations (12)-(13).

    gamma[b] = 1 - p[b, label[b]],   beta[b] = gamma[b] if gamma[b] <= theta else 1,   gate[b] = 1 - beta[b]

    The paper has "rho of class c" in place of p, a concordance correlation, which is not defined for categories.

    Source: Aslam et al. 2023 (M2PKD), section 3.3; Khan et al. 2026, equations (12)-(13).

    Example
    -------
    >>> sure_and_right, sure_and_wrong = [5.0, 0.0], [0.0, 5.0]
    >>> teacher = TeacherOutput(torch.tensor([[sure_and_right, sure_and_wrong]]))
    >>> TeacherError(theta=0.5)(ModelOutput(torch.zeros(2, 2)), teacher, torch.tensor([0, 0]))  # sigmoid(5), shut
    tensor([0.9933, 0.0000])
    """

    def __init__(self, theta: float = 0.9):
        super().__init__()
        self.theta = check_theta(theta)

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        true_probs = teacher.mixture(temperature=1.0).gather(1, labels[:, None]).squeeze(1)
        gamma = (1 - true_probs).clamp(0, 1)  # rounding can leave a mixture at 1 + 1e-7
        beta = torch.where(gamma <= self.theta, gamma, torch.ones_like(gamma))
        return 1 - beta
