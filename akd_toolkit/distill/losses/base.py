"""The base class of losses, and what several of them share: option checks and the divergence."""

from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput


class Loss(nn.Module):
    """One value per utterance, neither weighted nor averaged, so that a gate can act on each.

    A loss raises ValueError for an option out of range, and for outputs that it needs and does not get. These options
    mean the same in every loss:

    ``temperature``: softening T > 0 of logits, no unit; 1 leaves the distributions unchanged.
    ``space``: ``soft_targets`` (softened probabilities, the teachers' mixture on their side) or ``embedding``.
    ``num_frames``: how many stretches of equal time the speech is divided into; padding does not count.
    ``num_classes``, ``class_counts``, ``num_attributes``, ``num_teachers``, ``teacher_accuracies``,
    ``student_frame_dim``, ``student_embedding_dim``, ``student_layer_dims`` (layer name -> channels),
    ``teacher_embedding_dims``, ``teacher_frame_dims`` (lists): filled in by the objective, not given in YAML.

    In formulas b is the utterance, t the teacher, c the class, and w[t, b] the trust in a teacher: the weighting's
    output, or 1 / m. Shapes of inputs are those of ``ModelOutput`` and ``TeacherOutput``.

    Attributes
    ----------
    example_options
        The smallest options that make sense, for tests.
    reads
        What it needs of the teachers besides logits: ``"embedding"``, ``"frames"``. What no loss reads is not loaded.
    truth
        What ``labels`` holds: class indices [batch] ("emotion"), or values [batch, A] with NaN for unknown
        ("attributes").
    mixes
        False if the loss is meaningless for a mixture of two utterances (``mixup``).

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput or None, labels) -> [batch].
    """

    example_options: dict = {}
    reads: tuple[str, ...] = ()
    truth: str = "emotion"
    mixes: bool = True

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        raise NotImplementedError


def kl_divergence(teacher_log_probs: Tensor, student_log_probs: Tensor) -> Tensor:
    """KL(teacher || student) over the last dimension, from log-probabilities, in nats."""
    return (teacher_log_probs.exp() * (teacher_log_probs - student_log_probs)).sum(dim=-1)


def check_same_classes(student: ModelOutput, teacher: TeacherOutput) -> None:
    """Refuse logits with different batch or class counts."""
    if student.logits.shape != teacher.logits.shape[1:]:
        raise ValueError(
            f"logits must agree in shape [batch, classes]: student {list(student.logits.shape)}, "
            f"teacher {list(teacher.logits.shape[1:])}. Give both the same label_order."
        )


def check_positive(name: str, value: float) -> float:
    """Return ``value`` if it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be > 0, got {value!r}.")
    return value


def check_not_negative(name: str, value: float) -> float:
    """Return ``value`` if it is at least 0."""
    if not value >= 0:
        raise ValueError(f"{name} must be >= 0, got {value}.")
    return value


def check_choice(name: str, value: str, choices) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return value


def check_every_teacher_has(what: str, sizes: list[int], num_teachers: int, loss: str) -> None:
    """Refuse teachers of which some have no frames or embeddings."""
    if not sizes or len(sizes) != num_teachers:
        raise ValueError(
            f"loss '{loss}' needs {what} of every teacher, but {len(sizes)} of {num_teachers} have them; "
            "remove the other teachers or this loss."
        )
