"""What every weighting promises."""

from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput


class Weighting(nn.Module):
    """Which teacher to trust, per utterance.

    A subclass is registered with ``WEIGHTINGS`` and may ask for ``num_teachers``, ``num_classes``,
    ``student_frame_dim`` and ``teacher_accuracies`` (UA of each teacher on training speakers whom its heads had not
    heard, in [0, 1]) by name. A weighting is not told the truth where nobody knows it: an utterance without a label
    comes with label 0 in ``forward``, so that trust must not follow from ``labels``; ``supervision`` does not count it.

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput, labels [batch]) -> [m, batch], >= 0, summing to 1 over m.
    """

    example_options: dict = {}

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        raise NotImplementedError

    def supervision(self, teacher: TeacherOutput, labels: Tensor) -> Tensor | None:
        """What the weighting itself learns from, [batch], given the teachers as it weighted them; None if nothing."""
        return None

    def set_progress(self, progress: float) -> None:
        """Told before each batch which share of training is done, in [0, 1]."""

    def penalty(self) -> Tensor:
        """Sum of squares of what scales its scores, for fits that need a decay."""
        return sum(parameter.square().sum() for parameter in self.parameters())
