"""Weightings: which teacher to trust, per utterance."""

import torch
from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import WEIGHTINGS


class Weighting(nn.Module):
    """Trust in each teacher, per utterance.

    A constructor may ask for ``num_teachers``, ``num_classes``, ``student_frame_dim`` and ``teacher_accuracies`` (UA of
    each teacher in [0, 1], measured on training speakers by heads that were not trained on them); the objective fills
    them in. Weights are scaled afterwards to sum to 1 over the teachers that are present (``TeacherOutput.trust``).
    ``forward`` gets label 0 for an unlabelled utterance, so the weights must not depend on ``labels``;
    ``supervision`` may use them, unlabelled utterances are not counted there.

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput, labels [batch]) -> [m, batch], >= 0, summing to 1 over m.
    """

    example_options: dict = {}

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        raise NotImplementedError

    def supervision(self, teacher: TeacherOutput, labels: Tensor) -> Tensor | None:
        """A loss [batch] for the weighting itself, given the teachers with its weights; None if it learns nothing."""
        return None

    def set_progress(self, progress: float) -> None:
        """Called before each batch with the share of training that is done, in [0, 1]."""

    def penalty(self) -> Tensor:
        """Sum of squares for weight decay where the weighting is fitted in closed form."""
        return sum(parameter.square().sum() for parameter in self.parameters())


@WEIGHTINGS.register("uniform")
class Uniform(Weighting):
    """The same trust in every teacher: w[t, b] = 1 / m.

    Source: the usual baseline of multi-teacher distillation, You et al. 2017.

    Example
    -------
    >>> Uniform()(ModelOutput(torch.zeros(1, 3)), TeacherOutput(torch.zeros(2, 1, 3)), torch.tensor([0]))
    tensor([[0.5000],
            [0.5000]])
    """

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        num_teachers, batch = teacher.logits.shape[:2]
        return torch.full((num_teachers, batch), 1 / num_teachers, device=teacher.logits.device)


@WEIGHTINGS.register("best_single")
class BestSingle(Weighting):
    """All trust in the teacher with the highest accuracy, the first of equals.

    w[t, b] = 1 if t is the first argmax of accuracy among the teachers of b, else 0

    Losses that ignore the weights, such as ``soft_target_kl``, still learn from all teachers.

    Source: the baseline of Dzeroski & Zenko 2004, "Is combining classifiers with stacking better than selecting the
    best one?": selection by cross-validation.

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
        accuracies = torch.tensor(self.teacher_accuracies, dtype=torch.double, device=teacher.logits.device)
        best = torch.where(teacher.is_present(), accuracies[:, None], -1.0).argmax(dim=0)  # [batch]
        return nn.functional.one_hot(best, len(teacher)).T.float()


@WEIGHTINGS.register("validation_accuracy")
class ValidationAccuracy(Weighting):
    """More trust in the teacher with the higher accuracy, the same for every utterance.

    w[t, b] = softmax over teachers t of accuracy[t] / temperature

    Towards temperature 0 this is ``best_single``, towards infinity ``uniform``. Nothing is learned.

    Source: Freund & Schapire 1997, algorithm Hedge, whose weights are beta^error: here beta = exp(-1 / temperature).

    Arguments
    ---------
    temperature
        Lead in UA that makes a teacher e = 2.7 times as heavy, > 0; 0.1 is ten points.

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
            raise ValueError(f"teacher_accuracies must be in [0, 1], got {list(teacher_accuracies)}.")
        self.teacher_accuracies = list(teacher_accuracies)
        self.temperature = temperature

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        accuracies = torch.tensor(self.teacher_accuracies, device=teacher.logits.device)
        shares = torch.softmax(accuracies / self.temperature, dim=0)
        return shares[:, None].repeat(1, teacher.logits.shape[1])  # [m, batch]


@WEIGHTINGS.register("adapter")
class Adapter(Weighting):
    """Per-utterance trust by latent teacher factors, equations (5)-(6).

    a[b, d] = max over time and frequency of the student's last feature map, per channel d       (5)
    s[t, b] = sum_d v[d] theta[t, d] a[b, d]                                                      (5a)
    w[t, b] = softmax over teachers t of s[t, b]                                                  (6)

    theta (one vector per teacher) and v (shared) are learned. The paper prints (5) without the score and calls (6) a
    loss over time. With one teacher w is 1 and nothing is adaptive.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), equations (1)-(3); Khan et al. 2026, equations (5)-(6).
    Shape: student.frames [batch, T, student_frame_dim], teacher.logits [m, batch, classes] -> [m, batch].

    Arguments
    ---------
    detach_student
        True keeps the gradient of the score out of the student.
    supervision_weight
        Weight >= 0 of H(label, mixture at T = 1), which trains theta and v. With 0 they learn only from losses that do
        not detach the mixture.
    freeze_after
        Share of training in (0, 1] after which theta and v stay fixed: first learn whom to trust, then train the
        student with that trust. 1 never freezes.

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
        with torch.autocast(peaks.device.type, enabled=False):  # rounded weights would no longer sum to 1
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
