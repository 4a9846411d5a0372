"""Structured pruning: which weights belong to one channel, and a narrower student made of the most important ones.

Another package makes its student prunable with ``@COUPLINGS.register("name of the student")``: a function that maps a
student to its list of ``Group``.
"""

import copy
import inspect
from typing import NamedTuple

import torch
from torch import Tensor, nn

from akd_toolkit.registry import STUDENTS, Registry

COUPLINGS = Registry("student that can be pruned", "akd_toolkit.couplings")


class Part(NamedTuple):
    """Where the units of a group are in one tensor of the student's state: along ``axis``, all of it, equally often.

    The places of a unit are neighbours (unit 0, 0, 1, 1, ...) or, ``interleaved``, they repeat (0, 1, ..., 0, 1, ...).
    """

    tensor: str
    axis: int
    interleaved: bool = False

    def places(self, size: int, units: int) -> Tensor:
        """Positions of each unit along an axis of this size, [units, size / units].

        Example
        -------
        >>> Part("a", 0).places(4, units=2).tolist(), Part("a", 0, interleaved=True).places(4, units=2).tolist()
        ([[0, 1], [2, 3]], [[0, 2], [1, 3]])
        """
        places = torch.arange(size)
        return places.reshape(-1, units).T if self.interleaved else places.reshape(units, -1)


class Group(NamedTuple):
    """``units`` channels, heads or hidden units, each kept or removed as a whole in every part.

    ``option`` is the student's option that sets their number, such as ``dim`` or ``channels.1``.
    """

    option: str
    units: int
    parts: list[Part]


def norm_parts(name: str) -> list[Part]:
    """The four tensors of a batch norm."""
    return [Part(f"{name}.{tensor}", 0) for tensor in ("weight", "bias", "running_mean", "running_var")]


def heads(student) -> list[Part]:
    """What reads each number of the embedding."""
    return [Part("classifier.weight", 1)] + ([Part("regressor.linear.weight", 1)] if student.regressor else [])


def time_cnn(student, readers: list[Part]) -> list[Group]:
    """Channels of the stem's stages, and the width of the residual convolutions, whose top ``readers`` read."""
    groups = []
    for i, stage in enumerate(student.stem):
        # The next stage, or the layer that reads each channel's bands side by side.
        reader = f"stem.{i + 1}.conv" if i + 1 < len(student.stem) else "fuse"
        parts = [Part(f"stem.{i}.conv.weight", 0), *norm_parts(f"stem.{i}.norm"), Part(f"{reader}.weight", 1)]
        groups.append(Group(f"channels.{i}", stage.conv.out_channels, parts))
    residual = [Part("fuse.weight", 0), *norm_parts("fuse_norm")]  # added channel to channel: all blocks keep the same
    for i in range(len(student.blocks)):
        residual += [Part(f"blocks.{i}.conv.weight", axis) for axis in (0, 1)] + norm_parts(f"blocks.{i}.norm")
    return [*groups, Group("dim", student.fuse.out_features, residual + readers)]


@COUPLINGS.register("micro_cnn")
def micro_cnn(student) -> list[Group]:
    """Channels of the stem's stages, the width of the residual convolutions, and the embedding."""
    readers = [Part("bottleneck.0.weight", 1, interleaved=True)]  # mean, deviation and maximum of all channels
    embedding = [Part("bottleneck.0.weight", 0), *norm_parts("bottleneck.1"), *heads(student)]
    return [*time_cnn(student, readers), Group("embedding_dim", student.classifier.in_features, embedding)]


@COUPLINGS.register("pretrained_cnn")
def pretrained_cnn(student) -> list[Group]:
    """Channels of the stem's stages, and the width of the residual convolutions, whose statistics the head reads."""
    statistics = [Part("centre", 0), Part("scale", 0), *heads(student)]  # mean and deviation of all channels
    return time_cnn(student, [part._replace(interleaved=True) for part in statistics])


@COUPLINGS.register("hybrid_transformer")
def hybrid_transformer(student) -> list[Group]:
    """Channels of the stem's first stage, and the hidden units of every feed-forward layer.

    The width of a frame stays: attention heads divide it and layer norms average over it.
    """
    stem = [Part("stem.0.0.conv.weight", 0), *norm_parts("stem.0.0.norm"), Part("stem.1.0.conv.weight", 1)]
    for conv, norm in (("conv1", "norm"), ("conv2", "norm_out")):
        stem += [Part(f"stem.0.1.{conv}.weight", axis) for axis in (0, 1)] + norm_parts(f"stem.0.1.{norm}")
    groups = [Group("channels.0", student.stem[0][0].conv.out_channels, stem)]
    for name, module in student.named_modules():
        if name.endswith(".feed_forward"):
            parts = [Part(f"{name}.0.weight", 0), Part(f"{name}.0.bias", 0), Part(f"{name}.2.weight", 1)]
            groups.append(Group("mlp_ratio", module[0].out_features, parts))
    return groups


def groups_of(student: nn.Module, name: str) -> list[Group]:
    """The groups of a student; ValueError if its couplings are not registered."""
    if name not in COUPLINGS.names():
        raise ValueError(
            f"the student '{name}' cannot be pruned; those that can are {', '.join(COUPLINGS.names())}. Leave the step "
            "prune out, or register its couplings."
        )
    return COUPLINGS.get(name)(student)


def narrowed(student: nn.Module, spec: dict, share, scores: dict[str, Tensor], multiple: int = 8):
    """The student without its least important units, as ``STUDENTS.build`` makes it of narrower options, and these.

    ``spec`` is ``{name: registered student, its options}``; ``share`` and ``multiple`` are options of ``Prune``;
    ``scores`` hold the importance of every number by the name of its tensor.
    """
    groups = groups_of(student, spec["name"])
    options = narrow_options(spec, groups, share, multiple)
    smaller = STUDENTS.build(**options, num_classes=student.num_classes)
    if student.regressor is not None:
        smaller.add_attributes(student.regressor.linear.out_features)
    target, state = smaller.state_dict(), dict(student.state_dict())
    for group in groups:
        tensor, axis, _ = group.parts[0]
        count = group.units * target[tensor].shape[axis] // state[tensor].shape[axis]
        kept = unit_scores(group, scores).argsort(stable=True)[group.units - count :]
        for part in group.parts:
            places = part.places(state[part.tensor].shape[part.axis], group.units)[kept].flatten().sort().values
            state[part.tensor] = state[part.tensor].index_select(part.axis, places)
    smaller.load_state_dict(state)
    return smaller.train(student.training), options


def unit_scores(group: Group, scores: dict[str, Tensor]) -> Tensor:
    """Importance of each unit, [units]: its share in the sum of a tensor, averaged over the group's tensors.

    Shares, because tensors differ in scale. Tensors without scores (running statistics) are left out.

    Example
    -------
    >>> group = Group("dim", 2, [Part("a", 0), Part("b", 1)])
    >>> unit_scores(group, {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([[30.0, 10.0]])})
    tensor([0.5000, 0.5000])
    """
    shares = []
    for part in group.parts:
        if part.tensor in scores:
            along = scores[part.tensor].double().movedim(part.axis, 0)
            of_units = along[part.places(len(along), group.units)].flatten(1).sum(dim=1)
            shares.append(of_units / of_units.sum().clamp(min=torch.finfo(torch.double).tiny))
    return torch.stack(shares).mean(dim=0).float()


def narrow_options(spec: dict, groups: list[Group], share, multiple: int) -> dict:
    """The student's options after ``share`` of each width is removed.

    Example
    -------
    >>> groups = [Group("channels.0", 16, []), Group("channels.1", 32, []), Group("dim", 128, [])]
    >>> spec = {"name": "micro_cnn", "channels": [16, 32], "dim": 128}
    >>> narrow_options(spec, groups, {"channels.1": 0.5, "dim": 0.3}, multiple=8)
    {'name': 'micro_cnn', 'channels': [16, 16], 'dim': 88}
    """
    known = sorted({name for group in groups for name in (group.option, group.option.split(".")[0])})
    unknown = [name for name in share if name not in known] if isinstance(share, dict) else []
    if unknown:
        raise ValueError(f"prune: share names '{unknown[0]}'; the widths of '{spec['name']}' are {', '.join(known)}.")
    defaults = {key: p.default for key, p in inspect.signature(STUDENTS.get(spec["name"])).parameters.items()}
    narrow, done = copy.deepcopy(spec), set()
    for option, units, _ in groups:
        name, _, index = option.partition(".")
        removed = share.get(option, share.get(name, 0.0)) if isinstance(share, dict) else share
        if removed == 0 or option in done:
            continue
        done.add(option)
        left = min(units, max(multiple, round(units * (1 - removed) / multiple) * multiple))
        value = narrow.get(name, defaults[name])
        if index:
            narrow[name] = list(value)
            narrow[name][int(index)] = left
        else:
            narrow[name] = value * left / units if isinstance(value, float) else left  # a float is a ratio of widths
    return narrow
