"""The task for dimensional labels: agreement with the true valence, arousal, dominance."""

from torch import Tensor

from akd_toolkit.distill.losses.base import Loss
from akd_toolkit.metrics.concordance import discordances
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("concordance")
class Concordance(Loss):
    """One minus the concordance (CCC) of the student's attributes with the true ones, the task term of (14).

    loss[b] = mean over attributes of (s_b - t_b)^2 / (var(s) + var(t) + (mean(s) - mean(t))^2)

    Moments are those of the batch, so the mean of loss[b] over the utterances with known attributes is exactly 1 - CCC,
    averaged over attributes. Use batches of 16 or more. An utterance without known attributes has loss 0 and is not
    part of the mean.

    Source: Lin 1989 (CCC); Aslam et al. 2023 (M2PKD); Khan et al. 2026, equation (14).
    Shape: student.attributes [batch, A], labels [batch, A] with NaN where unknown -> [batch], >= 0.

    Example
    -------
    >>> import torch
    >>> student = ModelOutput(torch.zeros(3, 2), attributes=torch.tensor([[2.0], [3.0], [4.0]]))
    >>> Concordance()(student, None, torch.tensor([[1.0], [2.0], [3.0]]))  # CCC = 4/7: right up to an offset
    tensor([0.4286, 0.4286, 0.4286])
    """

    truth = "attributes"

    def forward(self, student: ModelOutput, teacher: TeacherOutput | None, labels: Tensor) -> Tensor:
        return discordances(student_attributes(student), labels)


def student_attributes(student: ModelOutput) -> Tensor:
    """The student's attributes [batch, A]; a student without them is refused."""
    if student.attributes is None:
        raise ValueError("the student predicts no attributes; list them in the setting 'attributes' of the YAML.")
    return student.attributes
