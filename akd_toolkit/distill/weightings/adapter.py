"""The Adapter: the student's own view of the utterance decides which teacher to trust."""

import torch
from torch import Tensor, nn

from akd_toolkit.distill.weightings.base import Weighting
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import WEIGHTINGS


@WEIGHTINGS.register("adapter")
class Adapter(Weighting):
    """Per-utterance trust by latent teacher factors, equations (5)-(6).

    a[b, d] = max over time and frequency of the student's last feature map, per channel d       (5)
    s[t, b] = sum_d v[d] theta[t, d] a[b, d]                                                      (5a)
    w[t, b] = softmax over teachers t of s[t, b]                                                  (6)

    theta (one vector a teacher) and v (shared) are learned. The paper prints (5) without the score and calls (6) a
    loss over time. With one teacher w is 1 and nothing is adaptive.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), equations (1)-(3); Khan et al. 2026, equations (5)-(6).

    Arguments
    ---------
    num_teachers, student_frame_dim
        Filled in by the objective: m, and the channels of the student's last feature map.
    detach_student
        True keeps the score's gradient out of the student.
    supervision_weight
        Weight >= 0 of H(label, mixture at T = 1), which teaches theta and v whom to trust. 0 turns it off; they then
        learn only from losses that leave the mixture attached.
    freeze_after
        Share of training in (0, 1] after which theta and v stay as they are (two stages: first whom to trust, then the
        student under that trust); 1 never freezes.

    Shape
    -----
    student.frames [batch, T, student_frame_dim], teacher.logits [m, batch, classes]. Returns [m, batch].

    Raises
    ------
    ValueError
        If ``supervision_weight`` is negative or ``freeze_after`` outside (0, 1].

    Example
    -------
    >>> adapter = Adapter(num_teachers=2, student_frame_dim=1)
    >>> _ = nn.init.constant_(adapter.shared, 1.0)
    >>> adapter.factors.data = torch.tensor([[1.0], [0.0]])
    >>> student = ModelOutput(torch.zeros(1, 3), frames=torch.tensor([[[-1.0], [2.0]]]))  # the maximum is 2
    >>> adapter(student, TeacherOutput(torch.zeros(2, 1, 3)), torch.tensor([0])).detach()  # sigmoid(2), 1 - sigmoid(2)
    tensor([[0.8808],
            [0.1192]])
    """

    example_options = {"num_teachers": 2, "student_frame_dim": 8}

    def __init__(
        self,
        num_teachers: int,
        student_frame_dim: int,
        detach_student: bool = True,
        supervision_weight: float = 1.0,
        freeze_after: float = 1.0,
    ):
        super().__init__()
        if not 0 < freeze_after <= 1:
            raise ValueError(f"freeze_after must be in (0, 1], got {freeze_after}.")
        if supervision_weight < 0:
            raise ValueError(f"supervision_weight must be >= 0, got {supervision_weight}.")
        self.detach_student = detach_student
        self.supervision_weight = supervision_weight
        self.freeze_after = freeze_after
        # Small factors start near equal trust; v of unit size gives the factors a gradient from the first step.
        self.factors = nn.Parameter(0.01 * torch.randn(num_teachers, student_frame_dim))
        self.shared = nn.Parameter(torch.randn(student_frame_dim) / student_frame_dim**0.5)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        frames = student.frames.float().masked_fill(~student.frame_mask()[..., None], float("-inf"))
        peaks = frames.amax(dim=1)  # [batch, D]
        if self.detach_student:
            peaks = peaks.detach()
        with torch.autocast(peaks.device.type, enabled=False):  # shares that are rounded no longer sum to 1
            scores = (self.shared * self.factors) @ peaks.T  # [m, batch]
            return torch.softmax(scores, dim=0)

    def set_progress(self, progress: float) -> None:
        self.requires_grad_(progress < self.freeze_after or self.freeze_after == 1)

    def penalty(self) -> Tensor:
        """sum over t and d of (v[d] theta[t, d])^2: only the product scales a score."""
        return (self.shared * self.factors).square().sum()

    def supervision(self, teacher: TeacherOutput, labels: Tensor) -> Tensor | None:
        if self.supervision_weight == 0:
            return None
        true_log_probs = teacher.log_mixture(temperature=1.0).gather(1, labels[:, None]).squeeze(1)
        return -self.supervision_weight * true_log_probs
