"""M2PKD's gate for dimensional labels: it closes as the teachers' concordance with the truth falls."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate, check_theta
from akd_toolkit.metrics.concordance import discordances
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_concordance_error")
class TeacherConcordanceError(Gate):
    """The teachers' concordance (CCC) with the true attributes of the batch, shut where 1 - CCC exceeds ``theta``.

    gamma = 1 - CCC(trusted mean of the teachers, truth), averaged over attributes and limited to [0, 1]
    beta = gamma if gamma <= theta else 1,   gate[b] = 1 - beta for every utterance b of the batch

    A correlation belongs to a batch, so its labelled utterances also decide for the unlabelled ones. With fewer than
    two labelled utterances the gate is open.

    Source: Aslam et al. 2023 (M2PKD), section 3.3; Khan et al. 2026, equations (12)-(13).

    Example
    -------
    >>> teacher = TeacherOutput(torch.zeros(1, 3, 2), attributes=torch.tensor([[[2.0], [3.0], [4.0]]]))
    >>> truth = torch.tensor([[1.0], [2.0], [3.0]])
    >>> TeacherConcordanceError(theta=0.7)(None, teacher, truth)  # CCC = 4/7
    tensor([0.5714, 0.5714, 0.5714])
    """

    needs_truth = False  # of each utterance; the known ones decide for the whole batch
    truth = "attributes"

    def __init__(self, theta: float = 0.9):
        super().__init__()
        self.theta = check_theta(theta)

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        known = ~labels.isnan().all(dim=1)
        if known.sum() < 2:
            return torch.ones(len(labels), device=labels.device)
        gamma = discordances(teacher.trusted_attributes(), labels)[known].mean().clamp(0, 1)
        return (1 - torch.where(gamma <= self.theta, gamma, 1.0)).expand(len(labels))
