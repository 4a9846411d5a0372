"""Which weights belong to one channel, head or hidden unit of a student: what can only go together.

A ``Group`` is a set of units that stand side by side in several tensors. Which group follows from which option of the
student is written down here for each student that can be pruned; another package adds its own with
``@COUPLINGS.register("name of the student")``: a function from the options of its student to a list of groups.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from akd_toolkit.registry import Registry

COUPLINGS = Registry("student that can be pruned", "akd_toolkit.couplings")


@dataclass(frozen=True)
class Part:
    """Where the units of a group are in one tensor.

    Arguments
    ---------
    tensor
        Its name in the student's state.
    axis
        The axis along which units lie.
    places
        [units, k]: the k places of each unit along that axis.
    """

    tensor: str
    axis: int
    places: Tensor


@dataclass(frozen=True)
class Group:
    """Units that are kept or taken as a whole.

    Arguments
    ---------
    option
        The option of the student that says how many there are, such as ``dim`` or ``channels.1``.
    units
        How many there are.
    parts
        Where they are.
    """

    option: str
    units: int
    parts: tuple[Part, ...]


def side_by_side(units: int, each: int = 1, first: int = 0) -> Tensor:
    """Places of units that fill ``each`` neighbouring places, [units, each].

    Example
    -------
    >>> side_by_side(3, each=2)
    tensor([[0, 1],
            [2, 3],
            [4, 5]])
    """
    return first + torch.arange(units * each).reshape(units, each)


def interleaved(units: int, times: int, stride: int | None = None, first: int = 0) -> Tensor:
    """Places of units that come ``times`` times, every ``stride`` places (by default one round after another).

    Example
    -------
    >>> interleaved(3, times=2)
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    return first + torch.arange(units)[:, None] + (units if stride is None else stride) * torch.arange(times)[None]


def norm_parts(name: str, units: int) -> list[Part]:
    """The four tensors of a batch norm."""
    names = ("weight", "bias", "running_mean", "running_var")
    return [Part(f"{name}.{tensor}", 0, side_by_side(units)) for tensor in names]


@COUPLINGS.register("micro_cnn")
def micro_cnn(student) -> list[Group]:
    """Channels of the stem's stages, the width of the residual convolutions, and the embedding."""
    groups = []
    widths = [stage.conv.out_channels for stage in student.stem]
    dim, embedding_dim = student.fuse.out_features, student.classifier.in_features
    for index, width in enumerate(widths):
        here = [Part(f"stem.{index}.conv.weight", 0, side_by_side(width)), *norm_parts(f"stem.{index}.norm", width)]
        if index + 1 < len(widths):
            here.append(Part(f"stem.{index + 1}.conv.weight", 1, side_by_side(width)))
        else:  # each channel's bands lie side by side
            here.append(Part("fuse.weight", 1, side_by_side(width, each=student.fuse.in_features // width)))
        groups.append(Group(f"channels.{index}", width, tuple(here)))
    # A residual connection adds channel to channel, so that all blocks keep the same.
    residual = [Part("fuse.weight", 0, side_by_side(dim)), *norm_parts("fuse_norm", dim)]
    for index in range(len(student.blocks)):
        residual += [Part(f"blocks.{index}.conv.weight", axis, side_by_side(dim)) for axis in (0, 1)]
        residual += norm_parts(f"blocks.{index}.norm", dim)
    residual.append(Part("bottleneck.0.weight", 1, interleaved(dim, times=3)))  # mean, deviation, maximum
    groups.append(Group("dim", dim, tuple(residual)))
    embedding = [
        Part("bottleneck.0.weight", 0, side_by_side(embedding_dim)),
        *norm_parts("bottleneck.1", embedding_dim),
    ]
    embedding += [Part(f"{head}.weight", 1, side_by_side(embedding_dim)) for head in _heads(student)]
    groups.append(Group("embedding_dim", embedding_dim, tuple(embedding)))
    return groups


@COUPLINGS.register("hybrid_transformer")
def hybrid_transformer(student) -> list[Group]:
    """Channels of the stem's first stage, and the hidden units of every feed-forward layer.

    The width of a frame stays: it is also what heads divide and what layer norms take the mean of.
    """
    width = student.stem[0][0].conv.out_channels
    stem = [Part("stem.0.0.conv.weight", 0, side_by_side(width)), *norm_parts("stem.0.0.norm", width)]
    for conv, norm in (("conv1", "norm"), ("conv2", "norm_out")):
        stem += [Part(f"stem.0.1.{conv}.weight", axis, side_by_side(width)) for axis in (0, 1)]
        stem += norm_parts(f"stem.0.1.{norm}", width)
    stem.append(Part("stem.1.0.conv.weight", 1, side_by_side(width)))
    groups = [Group("channels.0", width, tuple(stem))]
    for name, module in student.named_modules():
        if name.endswith(".feed_forward"):
            hidden = module[0].out_features
            parts = (
                Part(f"{name}.0.weight", 0, side_by_side(hidden)),
                Part(f"{name}.0.bias", 0, side_by_side(hidden)),
                Part(f"{name}.2.weight", 1, side_by_side(hidden)),
            )
            groups.append(Group("mlp_ratio", hidden, parts))
    return groups


def _heads(student) -> list[str]:
    """The linear layers that read the embedding."""
    return ["classifier"] + (["regressor.linear"] if student.regressor is not None else [])
