"""What every gate promises."""

from torch import Tensor, nn

from akd_toolkit.outputs import ModelOutput, TeacherOutput


class Gate(nn.Module):
    """How far distillation is open for each utterance: 1 follows the teachers, 0 shuts them off.

    A gate with ``needs_truth`` stays open where the truth is not known. ``truth`` says what the third argument holds:
    class indices ("emotion") or values [batch, A] ("attributes").

    Shape
    -----
    (student: ModelOutput, teacher: TeacherOutput, labels [batch]) -> [batch], in [0, 1], detached.
    """

    example_options: dict = {}
    needs_truth: bool = True
    truth: str = "emotion"

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        raise NotImplementedError
