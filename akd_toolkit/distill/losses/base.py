"""What every loss promises."""

from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput


class Loss(nn.Module):
    """One value per utterance: neither weighted nor averaged, so that a gate can still act on each.

    A subclass is registered with ``LOSSES`` and may ask for these constructor arguments by name; the objective fills
    them in: ``num_classes``, ``class_counts``, ``num_attributes``, ``num_teachers``, ``student_frame_dim``,
    ``student_embedding_dim``, ``student_layer_dims`` (layer name -> channels), ``teacher_embedding_dims`` (a list, one
    a teacher), ``teacher_frame_dims``, ``teacher_accuracies``. ``example_options`` holds the smallest options that
    make sense. ``reads`` names what it needs of the teachers besides logits, ``"embedding"`` or ``"frames"``; what no
    loss reads is not fetched.
    ``truth`` says what the third argument holds: class indices ("emotion") or values [batch, A] ("attributes").
    ``mixes`` is False where the loss means nothing for a student that hears two utterances at once (``mixup``).

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput or None, labels [batch]) -> [batch].
    """

    example_options: dict = {}
    reads: tuple[str, ...] = ()
    truth: str = "emotion"
    mixes: bool = True

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        raise NotImplementedError


def check_same_classes(student: ModelOutput, teacher: TeacherOutput) -> None:
    """Refuse logits of different batch or class counts."""
    if student.logits.shape != teacher.logits.shape[1:]:
        raise ValueError(
            f"logits must agree in shape [batch, classes]: student {list(student.logits.shape)}, "
            f"teacher {list(teacher.logits.shape[1:])}. Give both the same label_order."
        )


def check_positive(name: str, value: float) -> float:
    """Return ``value`` if it is a number above 0, else refuse it by ``name``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be > 0, got {value!r}.")
    return value
