"""Dimensional labels as teachers predict them: ridge regression beside each emotion head, cross-fitted with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.files import written_aside
from akd_toolkit.solvers import ridge
from akd_toolkit.teachers.base import fingerprint_of
from akd_toolkit.teachers.crossfit import SoftTargets
from akd_toolkit.teachers.head import Head

VERSION = 1  # of stored attribute heads; raise it when the same features give other numbers
STRENGTHS = (1.0, 0.1, 0.01, 1e-3, 1e-4)  # of the penalty, to choose from


@dataclass(frozen=True)
class AttributeHead:
    """Linear regression of attributes, on the layer-weighted standardised statistics that an emotion head reads.

    attributes = clip(bias + sum_l W_l sqrt(a_l) z_l / sqrt(D), lowest, highest),   z_l and a_l those of ``head``

    It has heard the speakers that ``head`` has heard and no other; these were labelled ``lowest`` to ``highest``.

    Shape
    -----
    weight: [A, L * D]. bias, lowest, highest: [A].
    """

    head: Head
    weight: Tensor
    bias: Tensor
    lowest: Tensor
    highest: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Attributes [n, A] of features [n, L, D]."""
        values = _inputs(self.head, features) @ self.weight.T + self.bias
        return values.maximum(self.lowest).minimum(self.highest)


def fit_attributes(
    target: SoftTargets, features: Sequence[np.ndarray], truth: np.ndarray, folder: Path | None = None
) -> tuple[AttributeHead, ...]:
    """One attribute head for each emotion head of ``target``, fitted on the speakers that this one has heard.

    The penalty is, for each attribute, the one of ``STRENGTHS`` with the least squared error over all views of the
    training utterances, each answered by a head that has not heard its speaker. A truth of NaN is unknown and has no
    part in anything.

    Arguments
    ---------
    folder
        Where fitted heads are kept and found again; None keeps none.

    Shape
    -----
    features: one [n, L, D] for each view, in the order of ``target.ids``. truth: [n, A].

    Raises
    ------
    ValueError
        If an attribute is not known of any utterance that a head would be fitted on.
    """
    views = [torch.tensor(np.asarray(view)) for view in features]
    truth, speakers = torch.tensor(np.asarray(truth), dtype=torch.float), np.array(target.speakers)
    heard = [torch.from_numpy(np.isin(speakers, head.heard)) for head in target.heads]
    path = None if folder is None else Path(folder) / f"attributes-{_key(target, views, truth[heard[-1]])}.safetensors"
    if path is not None and path.is_file():
        return _read(path, target.heads)
    paths = [_fit(head, [view[rows] for view in views], truth[rows]) for head, rows in zip(target.heads, heard)]
    told = torch.stack([answers(heads, target.head_of, views) for heads in zip(*paths)])[:, heard[-1]]
    errors = (told - truth[heard[-1], None]).square().nanmean(dim=(1, 2))  # [strengths, A]
    chosen = tuple(_of_strengths(path, errors.argmin(dim=0).tolist()) for path in paths)
    if path is not None:
        _write(path, chosen)
    return chosen


def answers(heads: Sequence[AttributeHead], head_of: Sequence[int], views: Sequence[Tensor]) -> Tensor:
    """Attributes [n, views, A], each utterance answered by its own head."""
    values = torch.empty(len(head_of), len(views), len(heads[0].bias))
    for index in set(head_of):
        rows = torch.tensor([row for row, own in enumerate(head_of) if own == index])
        for view, features in enumerate(views):
            values[rows, view] = heads[index].predict(features[rows])
    return values


def _fit(head: Head, views: Sequence[Tensor], truth: Tensor) -> list[AttributeHead]:
    """One head for each strength; attributes known of the same utterances are fitted together."""
    known = ~truth.isnan()
    unknown = (~known.any(dim=0)).nonzero().flatten().tolist()
    if unknown:
        raise ValueError(
            f"speakers {', '.join(head.heard)} have no utterance with attribute {unknown[0] + 1} of those listed, so "
            "no head can be fitted on them alone; leave that attribute out."
        )
    inputs = torch.cat([_inputs(head, view) for view in views])
    lowest, highest = (truth.nan_to_num(nan=end).aminmax(dim=0) for end in (torch.inf, -torch.inf))
    shape = len(STRENGTHS), truth.shape[1]
    weight, bias = torch.empty(*shape, inputs.shape[1]), torch.empty(*shape)
    patterns, pattern_of = known.unique(dim=1, return_inverse=True)
    for index, pattern in enumerate(patterns.unbind(dim=1)):
        columns, rows = pattern_of == index, pattern.repeat(len(views))
        wanted = truth.repeat(len(views), 1)[rows][:, columns]
        for place, strength in enumerate(STRENGTHS):
            weight[place, columns], bias[place, columns] = ridge(inputs[rows], wanted, strength)
    return [AttributeHead(head, *pair, lowest.min, highest.max) for pair in zip(weight, bias)]


def _of_strengths(path: Sequence[AttributeHead], strengths: Sequence[int]) -> AttributeHead:
    """The head whose attribute a was fitted with the a-th of ``strengths``, indices into ``path``."""
    rows = [(path[index].weight[a], path[index].bias[a]) for a, index in enumerate(strengths)]
    weight, bias = (torch.stack(parts) for parts in zip(*rows))
    return replace(path[0], weight=weight, bias=bias)


def _inputs(head: Head, features: Tensor) -> Tensor:
    """What the head's own classifier multiplies with its weights: [n, L, D] -> [n, L * D]."""
    share = (head.layer_weights[:, None] / features.shape[-1]).sqrt()
    return (head._standard(features) * share).flatten(1)


def _key(target: SoftTargets, views: Sequence[Tensor], truth: Tensor) -> str:
    sums = [view.double().abs().sum().item() for view in views]
    heads = [(head.heard, float(head.mean.double().sum()), head.layer_weights.tolist()) for head in target.heads]
    return fingerprint_of(VERSION, target.ids, heads, truth.tolist(), STRENGTHS, sums)


TENSORS = ("weight", "bias", "lowest", "highest")


def _write(path: Path, heads: Sequence[AttributeHead]) -> None:
    from safetensors.torch import save

    tensors = {name: torch.stack([getattr(head, name) for head in heads]) for name in TENSORS}
    with written_aside(path) as aside:
        aside.write_bytes(save(tensors))


def _read(path: Path, heads: Sequence[Head]) -> tuple[AttributeHead, ...]:
    from safetensors.torch import load_file

    stored = load_file(path)
    return tuple(AttributeHead(head, *parts) for head, *parts in zip(heads, *(stored[name] for name in TENSORS)))
