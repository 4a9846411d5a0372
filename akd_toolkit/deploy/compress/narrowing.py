"""Structured pruning: a narrower student made of the channels that matter most in a trained one."""

import copy
import inspect
from collections import defaultdict

import torch
from torch import Tensor, nn

from akd_toolkit.deploy.compress.couplings import COUPLINGS, Group
from akd_toolkit.registry import STUDENTS


def groups_of(student: nn.Module, name: str) -> list[Group]:
    """What of a student can only go together.

    Raises
    ------
    ValueError
        If nobody has written down how this student is put together.
    """
    if name not in COUPLINGS.names():
        raise ValueError(
            f"the student '{name}' cannot be pruned: nobody has said which of its weights belong together; those that "
            f"can are {', '.join(COUPLINGS.names())}. Leave the step prune out, or register its couplings."
        )
    return COUPLINGS.get(name)(student)


def narrowed(student: nn.Module, spec: dict, share, scores: dict[str, Tensor], multiple: int = 8):
    """The student without its least important units, and its options.

    The narrower student is what ``STUDENTS.build`` makes of the narrower options, with the weights of the units that
    are kept in their old order; nothing but the options' numbers tells it from one that was trained so from the start.

    Arguments
    ---------
    student
        A trained student; left as it is.
    spec
        ``{name: registered student, its options}`` as it was built.
    share
        Share of each width to take away, in [0, 1): one number for all, or a mapping from options (``dim``,
        ``channels``, ``channels.1``) to numbers, 0 for those not named.
    scores
        Importance of each tensor's every number, by the tensor's name in the state; see ``importance.py``.
    multiple
        Widths that shrink are rounded to a multiple of this, >= 1.

    Raises
    ------
    ValueError
        If the student cannot be pruned, or ``share`` names an option that it does not have.
    """
    groups = groups_of(student, spec["name"])
    options = narrow_options(spec, groups, share, multiple)
    smaller = STUDENTS.build(**options, num_classes=student.num_classes)
    if student.regressor is not None:
        smaller.add_attributes(student.regressor.linear.out_features)
    shapes = {name: tensor.shape for name, tensor in smaller.state_dict().items()}
    state = dict(student.state_dict())
    dropped: dict[tuple[str, int], list[Tensor]] = defaultdict(list)
    for group in groups:
        part = group.parts[0]
        now, then = state[part.tensor].shape[part.axis], shapes[part.tensor][part.axis]
        keep = group.units * then // now
        least = unit_scores(group, scores).argsort(stable=True)[: group.units - keep]
        for part in group.parts:
            dropped[part.tensor, part.axis].append(part.places[least].flatten())
    for (name, axis), places in dropped.items():
        kept = torch.ones(state[name].shape[axis], dtype=torch.bool)
        kept[torch.cat(places)] = False
        state[name] = state[name].index_select(axis, kept.nonzero()[:, 0].to(state[name].device))
    smaller.load_state_dict(state)
    return smaller.train(student.training), options


def unit_scores(group: Group, scores: dict[str, Tensor]) -> Tensor:
    """Importance of each unit, [units]: mean over the group's tensors of its share in the tensor's sum.

    As shares, because tensors differ in scale and none shall decide alone. A tensor without scores (the statistics of
    a norm) has no say.

    Example
    -------
    >>> from akd_toolkit.deploy.compress.couplings import Part, side_by_side
    >>> group = Group("dim", 2, (Part("a", 0, side_by_side(2)), Part("b", 1, side_by_side(2))))
    >>> unit_scores(group, {"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([[30.0, 10.0]])})
    tensor([0.5000, 0.5000])
    """
    shares = []
    for part in group.parts:
        if part.tensor in scores:
            along = scores[part.tensor].double().movedim(part.axis, 0)
            of_units = along[part.places].flatten(1).sum(dim=1)
            shares.append(of_units / of_units.sum().clamp(min=torch.finfo(torch.double).tiny))
    return torch.stack(shares).mean(dim=0).float()


def narrow_options(spec: dict, groups: list[Group], share, multiple: int) -> dict:
    """The student's options after ``share`` of each width is taken away.

    Example
    -------
    >>> groups = [Group("channels.0", 16, ()), Group("channels.1", 32, ()), Group("dim", 128, ())]
    >>> spec = {"name": "micro_cnn", "channels": [16, 32], "dim": 128}
    >>> narrow_options(spec, groups, {"channels.1": 0.5, "dim": 0.3}, multiple=8)
    {'name': 'micro_cnn', 'channels': [16, 16], 'dim': 88}
    """
    known = {name for group in groups for name in (group.option, group.option.split(".")[0])}
    unknown = [name for name in share if name not in known] if isinstance(share, dict) else []
    if unknown:
        raise ValueError(
            f"prune: share names '{unknown[0]}', and the widths of '{spec['name']}' are {', '.join(sorted(known))}."
        )
    options = {**spec, **{k: v for k, v in _defaults(spec["name"]).items() if k not in spec}}
    changed = {}
    for group in groups:
        taken = _share_of(group.option, share)
        if taken > 0 and group.option not in changed:
            changed[group.option] = taken
    narrow = copy.deepcopy(spec)
    for option, taken in changed.items():
        units = next(group.units for group in groups if group.option == option)
        left = min(units, max(multiple, round(units * (1 - taken) / multiple) * multiple))
        name, _, place = option.partition(".")
        if place:
            narrow[name] = list(narrow.get(name, options[name]))
            narrow[name][int(place)] = left
        elif isinstance(options[name], float):  # a ratio of widths rather than a width
            narrow[name] = options[name] * left / units
        else:
            narrow[name] = left
    return narrow


def _share_of(option: str, share) -> float:
    if not isinstance(share, dict):
        return share
    return share.get(option, share.get(option.split(".")[0], 0.0))


def _defaults(name: str) -> dict:
    parameters = inspect.signature(STUDENTS.get(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
