"""Hints: each teacher guides layers of the student that are its own."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from akd_toolkit.distill.losses.alignment import averaged, check_all_have, time_shares
from akd_toolkit.distill.losses.base import Loss, check_positive
from akd_toolkit.outputs import ModelOutput, TeacherOutput, valid_frames
from akd_toolkit.registry import LOSSES

DISTANCES = {"huber": functional.huber_loss, "squared": functional.mse_loss}


@LOSSES.register("hint")
class Hint(Loss):
    """Distance of the student's layers, through learned regressors, from their teacher's frames, equation (11).

    loss[b] = sum over t, sum over l in group(t), of mean over frames f and channels c of
              d( u[t, b, f, c] - (R[t, l] v[l, b, f] + r[t, l])[c] ),   d(x) = x^2, or Huber with delta = 1

    u are the teacher's frames and v the layer's, both averaged over ``num_frames`` stretches of equal time; padding
    does not count. R is a 1x1 convolution, learned with the student. As in the source every teacher counts the same,
    whatever the weighting says: a layer has one teacher, and there is no other to trust instead. The paper loses the
    norm bars.

    Source: Liu, Zhang & Wang 2020 (AMTML-KD), multi-group hints; Romero et al. 2015 (FitNets) for the regressor; Khan
    et al. 2026, equation (11).

    Arguments
    ---------
    num_teachers, student_layer_dims, teacher_frame_dims
        Filled in by the objective.
    groups
        A list of layer names for each teacher, in the teachers' order; a layer may stand in several. None cuts the
        student's layers, in order, into parts as equal as can be: the first teacher guides the lowest.
    distance
        ``"huber"`` grows linearly beyond 1, so that a few channels do not rule the sum; ``"squared"`` is the equation.
    num_frames
        Stretches of time that are compared, >= 1. The cost grows with them, and with the number of layers.
    teacher_step
        Every how many-th of a teacher's frames is averaged, >= 1. Neighbours, 20 ms apart, say nearly the same.
    normalize
        Whether a teacher's averaged frames are shifted and scaled to mean 0 and variance 1 over channels (a layer norm
        that learns nothing). A raw transformer layer may be at any scale, Whisper's reach hundreds, and that scale
        would become the weight of the loss. Statistics of the batch would tie an utterance to its neighbours.

    Shape
    -----
    student.layers: name -> [batch, T, D_l]; teacher.frames: m tensors [batch, T_t, D_t]; lengths of either [batch].
    Returns [batch], >= 0; 0 only where every regressor gives its teacher's frames. Starts at about 1 a layer or less.

    Raises
    ------
    ValueError
        If a teacher has no frames, ``groups`` does not fit teachers and layers, there are fewer layers than teachers,
        or another option is out of range.

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
    mixes = False  # stretches of a mixture are not those of either utterance, where these differ in length

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
        check_all_have("frames", teacher_frame_dims, num_teachers, "hint")
        if distance not in DISTANCES:
            raise ValueError(f"distance must be one of {', '.join(DISTANCES)}, got '{distance}'.")
        self.groups = _checked(groups, list(student_layer_dims), num_teachers)
        self.distance = distance
        self.num_frames = int(check_positive("num_frames", num_frames))
        self.teacher_step = int(check_positive("teacher_step", teacher_step))
        self.normalize = normalize
        self.regressors = nn.ModuleList(
            nn.ModuleList(_regressor(student_layer_dims[layer], dim) for layer in group)
            for group, dim in zip(self.groups, teacher_frame_dims)
        )

    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        layers = {name: student.layers[name] for group in self.groups for name in group}
        # Layers of one length share their stretches.
        own = {x.shape[1]: time_shares(x, student.lengths, self.num_frames) for x in layers.values()}
        total = student.logits.new_zeros(len(student.logits), dtype=torch.float32)
        for frames, group, regressors in zip(teacher.frames, self.groups, self.regressors, strict=True):
            some, lengths = self._some(frames, teacher.lengths)
            target = averaged(some, time_shares(some, lengths, self.num_frames))  # [batch, F, D_t]
            if self.normalize:
                target = functional.layer_norm(target, target.shape[-1:])
            for name, regressor in zip(group, regressors):
                guided = averaged(layers[name], own[layers[name].shape[1]])  # [batch, F, D_l]
                with _range_of_float32(guided.device.type):
                    guess = regressor(guided.flatten(0, 1)).float().view_as(target)
                gaps = DISTANCES[self.distance](guess, target, reduction="none")
                # Not .mean(): its gradient would be written out at full size.
                total = total + gaps.sum(dim=(1, 2)) / target[0].numel()
        return total

    def _some(self, frames: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Every ``teacher_step``-th frame, and the share of those that is speech."""
        some = frames[:, :: self.teacher_step]
        if lengths is None:
            return some, None
        num_valid = valid_frames(lengths, frames.shape[1])
        return some, torch.ceil(num_valid / self.teacher_step) / some.shape[1]


def _regressor(dim_in: int, dim_out: int) -> nn.Linear:
    """A 1x1 convolution over frames that starts by saying little, so that the first loss is that of saying nothing."""
    regressor = nn.Linear(dim_in, dim_out)
    nn.init.normal_(regressor.weight, std=0.3 / dim_in**0.5)
    nn.init.zeros_(regressor.bias)
    return regressor


def _range_of_float32(device: str):
    """The caller's autocast if it is to bfloat16, else none: float16 ends at 65504."""
    return torch.autocast(
        device,
        enabled=torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16,
    )


def _checked(groups: list[list[str]] | None, layers: list[str], num_teachers: int) -> list[list[str]]:
    """The layers that each teacher guides."""
    if groups is None:
        if len(layers) < num_teachers:
            raise ValueError(
                f"loss 'hint' gives every teacher layers of its own, but the student has {len(layers)} "
                f"({', '.join(layers)}) for {num_teachers} teachers; set groups, where a layer may stand twice."
            )
        ends = [round(share * len(layers) / num_teachers) for share in range(num_teachers + 1)]
        return [layers[begin:end] for begin, end in pairwise(ends)]
    if len(groups) != num_teachers or not all(isinstance(group, list | tuple) and group for group in groups):
        raise ValueError(
            f"groups must be {num_teachers} lists of layer names, one a teacher and none of them empty, got {groups}."
        )
    unknown = [layer for group in groups for layer in group if layer not in layers]
    if unknown:
        raise ValueError(f"groups names the layer '{unknown[0]}', but the student has {', '.join(layers)}.")
    return [list(group) for group in groups]
