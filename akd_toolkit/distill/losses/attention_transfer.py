"""The student attends to the same times as its teachers."""

import torch
from torch import Tensor

from akd_toolkit.distill.losses.alignment import averaged, time_shares, unit
from akd_toolkit.distill.losses.base import Loss, check_every_teacher_has
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import LOSSES


@LOSSES.register("attention_transfer")
class AttentionTransfer(Loss):
    """Distance between maps of where in time the student's and each teacher's features are strong.

    q(x)[b, f] = a[b, f] / sqrt(sum over f of a[b, f]^2),   a = mean over channels of x^2, averaged over stretch f
    loss[b] = sum over t of w[t, b] mean over layers l of sum over f of (q(v[l])[b, f] - q(u[t])[b, f])^2

    u are the teacher's frames, v the layer's. Nothing is learned, and the scale of either side does not matter. The
    source's maps are of space and its distance is the norm, not its square, whose gradient has no limit where both
    agree; here they are of time.

    Source: Zagoruyko & Komodakis 2017, equation (2), activation-based attention transfer with F_sum^2.
    Shape: student.layers or student.frames [batch, T, D], teacher.frames m of [batch, T_t, D_t] -> [batch], in [0, 2].

    Arguments
    ---------
    layers
        Names of the student's layers; None takes the last feature map alone.
    num_frames
        Stretches of time that are compared, >= 2.

    Example
    -------
    >>> student = ModelOutput(torch.zeros(1, 2), frames=torch.tensor([[[2.0], [0.0]]]))  # strong at first
    >>> teacher = TeacherOutput(torch.zeros(1, 1, 2), frames=(torch.tensor([[[0.0], [5.0]]]),))  # strong at last
    >>> AttentionTransfer(num_frames=2)(student, teacher, None)  # |(1, 0) - (0, 1)|^2
    tensor([2.])
    """

    reads = ("frames",)
    mixes = False  # stretches of a mixture fit neither utterance, where these differ in length

    def __init__(
        self,
        layers: list[str] | None = None,
        num_frames: int = 16,
        student_layer_dims: dict[str, int] | None = None,
    ):
        super().__init__()
        if layers is not None and (isinstance(layers, str) or not layers):
            raise ValueError(f"layers must be a list of layer names or null for the last frames, got {layers!r}.")
        unknown = [layer for layer in layers or [] if layer not in (student_layer_dims or layers)]
        if unknown:
            raise ValueError(f"layers names '{unknown[0]}', but the student has {', '.join(student_layer_dims)}.")
        if not num_frames >= 2:
            raise ValueError(f"num_frames must be >= 2, as a map of one stretch is always 1, got {num_frames}.")
        self.layers = layers
        self.num_frames = int(num_frames)

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        check_every_teacher_has("frames", [x.shape[-1] for x in teacher.frames], len(teacher), "attention_transfer")
        layers = [student.layers[name] for name in self.layers] if self.layers else [student.frames]
        own = torch.stack([self._map(frames, student.lengths) for frames in layers])  # [layers, batch, F]
        targets = torch.stack([self._map(frames, teacher.lengths) for frames in teacher.frames])  # [m, batch, F]
        distances = (own[None] - targets[:, None]).square().sum(dim=-1)  # [m, layers, batch]
        return (teacher.trust().detach() * distances.mean(dim=1)).sum(dim=0)

    def _map(self, frames: Tensor, lengths: Tensor | None) -> Tensor:
        strength = frames.float().square().mean(dim=-1, keepdim=True)  # [batch, T, 1]
        return unit(averaged(strength, time_shares(frames, lengths, self.num_frames)).squeeze(-1))
