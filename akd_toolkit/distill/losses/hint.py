"""Hints: each teacher guides its own layers of the student."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from akd_toolkit.distill.losses.alignment import averaged, time_shares
from akd_toolkit.distill.losses.base import Loss, check_choice, check_every_teacher_has, check_positive
from akd_toolkit.outputs import ModelOutput, TeacherOutput, valid_frames
from akd_toolkit.registry import LOSSES

DISTANCES = {"huber": functional.huber_loss, "squared": functional.mse_loss}


@LOSSES.register("hint")
class Hint(Loss):
    """Distance of the student's layers, through learned regressors, from their teacher's frames, equation (11).

    loss[b] = sum over t, sum over l in group(t), of mean over frames f and channels c of
              d( u[t, b, f, c] - (R[t, l] v[l, b, f] + r[t, l])[c] ),   d(x) = x^2, or Huber with delta = 1

    u are the teacher's frames and v the layer's, both averaged over ``num_frames`` stretches of time. R is a 1x1
    convolution, learned with the student. As in the source every teacher counts the same, whatever the weighting says:
    each layer has one teacher. The paper loses the norm bars.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), multi-group hints; Romero et al. 2015 (FitNets) for the regressor; Khan
    et al. 2026, equation (11).
    Shape: student.layers name -> [batch, T, D_l], teacher.frames m of [batch, T_t, D_t] -> [batch], >= 0; starts at
    about 1 per layer or less.

    Arguments
    ---------
    groups
        A list of layer names for each teacher, in the teachers' order; a layer may be in several. None cuts the
        student's layers, in order, into parts of nearly equal size: the first teacher guides the lowest.
    distance
        ``"huber"`` grows linearly beyond 1, so that a few channels do not dominate; ``"squared"`` is the equation.
    num_frames
        Stretches of time that are compared, >= 1.
    teacher_step
        Only every n-th of a teacher's frames is averaged, >= 1; neighbours are 20 ms apart and nearly equal.
    normalize
        Whether a teacher's averaged frames get mean 0 and variance 1 over channels (a layer norm without parameters).
        Raw transformer layers can have any scale, Whisper's reach hundreds, which would become the weight of the loss.

    Example
    -------
    >>> hint = Hint(1, {"low": 1}, [1], distance="squared", num_frames=1, teacher_step=1, normalize=False)
    >>> _ = nn.init.constant_(hint.regressors[0][0].weight, 2.0)
    >>> student = ModelOutput(torch.zeros(1, 2), layers={"low": torch.tensor([[[1.0], [2.0], [3.0]]])})  # mean 2
    >>> teacher = TeacherOutput(torch.zeros(1, 1, 2), frames=(torch.tensor([[[5.0], [9.0]]]),))  # mean 7
    >>> hint(student, teacher, None).detach()  # (7 - 2 * 2)^2
    tensor([9.])
    """

    example_options = {"num_teachers": 2, "student_layer_dims": {"low": 4, "high": 4}, "teacher_frame_dims": [5, 6]}
    reads = ("frames",)
    mixes = False  # stretches of a mixture fit neither utterance, where these differ in length

    def __init__(
        self,
        num_teachers: int,
        student_layer_dims: dict[str, int],
        teacher_frame_dims: list[int],
        groups: list[list[str]] | None = None,
        distance: str = "huber",
        num_frames: int = 4,
        teacher_step: int = 4,
        normalize: bool = True,
    ):
        super().__init__()
        check_every_teacher_has("frames", teacher_frame_dims, num_teachers, "hint")
        self.groups = _groups(groups, list(student_layer_dims), num_teachers)
        self.distance = check_choice("distance", distance, DISTANCES)
        self.num_frames = int(check_positive("num_frames", num_frames))
        self.teacher_step = int(check_positive("teacher_step", teacher_step))
        self.normalize = normalize
        self.regressors = nn.ModuleList(
            nn.ModuleList(_regressor(student_layer_dims[layer], dim) for layer in group)
            for group, dim in zip(self.groups, teacher_frame_dims)
        )

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        layers = {name: student.layers[name] for group in self.groups for name in group}
        own = {x.shape[1]: time_shares(x, student.lengths, self.num_frames) for x in layers.values()}  # by length
        total = student.logits.new_zeros(len(student.logits), dtype=torch.float32)
        parts = zip(teacher.frames, self.groups, self.regressors, teacher.is_present(), strict=True)
        for frames, group, regressors, present in parts:
            target = self._target(frames, teacher.lengths)  # [batch, F, D_t]
            for name, regressor in zip(group, regressors):
                guided = averaged(layers[name], own[layers[name].shape[1]])  # [batch, F, D_l]
                with _autocast_unless_float16(guided.device.type):
                    guess = regressor(guided.flatten(0, 1)).float().view_as(target)
                gaps = DISTANCES[self.distance](guess, target, reduction="none")
                # Not .mean(): its gradient would be written out at full size.
                total = total + present * gaps.sum(dim=(1, 2)) / target[0].numel()
        return total

    def _target(self, frames: Tensor, lengths: Tensor | None) -> Tensor:
        """A teacher's frames, every ``teacher_step``-th of them, averaged over stretches of time."""
        some = frames[:, :: self.teacher_step]
        if lengths is not None:
            lengths = torch.ceil(valid_frames(lengths, frames.shape[1]) / self.teacher_step) / some.shape[1]
        target = averaged(some, time_shares(some, lengths, self.num_frames))
        return functional.layer_norm(target, target.shape[-1:]) if self.normalize else target


def _regressor(dim_in: int, dim_out: int) -> nn.Linear:
    """A 1x1 convolution over frames with small weights: the first loss is about that of predicting 0."""
    regressor = nn.Linear(dim_in, dim_out)
    nn.init.normal_(regressor.weight, std=0.3 / dim_in**0.5)
    nn.init.zeros_(regressor.bias)
    return regressor


def _autocast_unless_float16(device: str):
    """The caller's autocast if it is to bfloat16, else none: float16 ends at 65504."""
    enabled = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
    return torch.autocast(device, enabled=enabled)


def _groups(groups: list[list[str]] | None, layers: list[str], num_teachers: int) -> list[list[str]]:
    """The layers that each teacher guides."""
    if groups is None:
        if len(layers) < num_teachers:
            raise ValueError(
                f"loss 'hint' gives every teacher its own layers, but the student has {len(layers)} "
                f"({', '.join(layers)}) for {num_teachers} teachers; set groups, where a layer may be listed twice."
            )
        ends = [round(share * len(layers) / num_teachers) for share in range(num_teachers + 1)]
        return [layers[begin:end] for begin, end in pairwise(ends)]
    if len(groups) != num_teachers or not all(isinstance(group, list | tuple) and group for group in groups):
        raise ValueError(
            f"groups must be {num_teachers} lists of layer names, one per teacher and none of them empty, got {groups}."
        )
    unknown = [layer for group in groups for layer in group if layer not in layers]
    if unknown:
        raise ValueError(f"groups names the layer '{unknown[0]}', but the student has {', '.join(layers)}.")
    return [list(group) for group in groups]
