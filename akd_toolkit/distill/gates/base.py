"""The base class of gates, and the bound that several of them share."""

from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput


class Gate(nn.Module):
    """How far distillation is open for each utterance: 1 follows the teachers, 0 ignores them.

    Gates judge by the teachers' cross-fitted logits: a head that was trained on the speaker is nearly always right, and
    a gate that judged by it would never close. p below is the weighted mixture of the teachers at T = 1. ``theta`` is
    the largest error or entropy, in [0, 1], at which a gate still opens: 1 never closes, 0 opens only for none at all.

    Attributes
    ----------
    needs_truth
        True keeps the gate open for an utterance whose truth is unknown.
    truth
        What ``labels`` holds: class indices [batch] ("emotion"), or values [batch, A] with NaN for unknown
        ("attributes").
    reads
        What it needs of the teachers besides logits: ``"embedding"`` or nothing.

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput, labels) -> [batch], in [0, 1], detached.
    """

    example_options: dict = {}
    needs_truth: bool = True
    truth: str = "emotion"
    reads: tuple[str, ...] = ()

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        raise NotImplementedError


def check_theta(theta: float) -> float:
    """Return ``theta`` if it is in [0, 1]."""
    if not 0 <= theta <= 1:
        raise ValueError(f"theta must be in [0, 1], got {theta}.")
    return theta
