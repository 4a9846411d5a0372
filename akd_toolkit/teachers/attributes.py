"""Dimensional labels as teachers predict them: ridge regression beside each emotion head, cross-fitted with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from akd_toolkit.data.files import written_aside
from akd_toolkit.solvers import ridge
from akd_toolkit.teachers.base import fingerprint_of
from akd_toolkit.teachers.crossfit import SoftTargets, by_own_head
from akd_toolkit.teachers.head import Head

VERSION = 1  # of stored attribute heads; raise it when the same features give other numbers
STRENGTHS = (1.0, 0.1, 0.01, 1e-3, 1e-4)  # of the penalty, to choose from
TENSORS = ("weight", "bias", "lowest", "highest")


@dataclass(frozen=True)
class AttributeHead:
    """Linear regression of attributes on the layer-weighted standardised features that an emotion head uses.

    attributes = clip(bias + sum_l W_l sqrt(a_l) z_l / sqrt(D), lowest, highest),   z_l and a_l those of ``head``

    It is trained on the speakers of ``head``, whose labels lie between ``lowest`` and ``highest`` [A].
    """

    head: Head
    weight: Tensor  # [A, L * D]
    bias: Tensor  # [A]
    lowest: Tensor
    highest: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Attributes [n, A] of features [n, L, D]."""
        values = _inputs(self.head, features) @ self.weight.T + self.bias
        return values.maximum(self.lowest).minimum(self.highest)


def fit_attributes(
    target: SoftTargets, features: Sequence[np.ndarray], truth: np.ndarray, folder: Path | None = None
) -> tuple[AttributeHead, ...]:
    """One attribute head for each emotion head of ``target``, trained on the same speakers.

    The penalty is, for each attribute, the one of ``STRENGTHS`` with the least squared error over all views of the
    cross-fitted training utterances. A truth of NaN is unknown and not used. ValueError if a head would have no
    utterance with some attribute.

    ``features`` holds [n, L, D] of each view, in the order of ``target.ids``; ``truth`` is [n, A]. Heads are stored
    in ``folder`` and found again there.
    """
    views = [torch.tensor(np.asarray(view)) for view in features]
    truth, speakers = torch.tensor(np.asarray(truth), dtype=torch.float), np.array(target.speakers)
    rows_of = [torch.from_numpy(np.isin(speakers, head.trained_on)) for head in target.heads]
    train = rows_of[-1]
    trained = [(head.trained_on, float(head.mean.double().sum()), head.layer_weights.tolist()) for head in target.heads]
    sums = [view.double().abs().sum().item() for view in views]
    key = fingerprint_of(VERSION, target.ids, trained, truth[train].tolist(), STRENGTHS, sums)
    path = None if folder is None else Path(folder) / f"attributes-{key}.safetensors"
    if path is not None and path.is_file():
        stored = load_file(path)
        parts = zip(*(stored[name] for name in TENSORS))
        return tuple(AttributeHead(head, *own) for head, own in zip(target.heads, parts))
    paths = [_fit(head, [view[rows] for view in views], truth[rows]) for head, rows in zip(target.heads, rows_of)]
    predicted = torch.stack([predict_attributes(heads, target.head_of, views) for heads in zip(*paths)])[:, train]
    errors = (predicted - truth[train, None]).square().nanmean(dim=(1, 2))  # [strengths, A]
    best, attributes = errors.argmin(dim=0), torch.arange(truth.shape[1])
    heads = []
    for of_strengths in paths:
        chosen = {
            name: torch.stack([getattr(head, name) for head in of_strengths])[best, attributes]
            for name in ("weight", "bias")
        }
        heads.append(replace(of_strengths[0], **chosen))
    if path is not None:
        with written_aside(path) as aside:
            aside.write_bytes(save({name: torch.stack([getattr(head, name) for head in heads]) for name in TENSORS}))
    return tuple(heads)


def predict_attributes(heads: Sequence[AttributeHead], head_of: Sequence[int], views: Sequence[Tensor]) -> Tensor:
    """Attributes [n, views, A], each utterance by its own head."""
    return torch.stack([by_own_head(heads, head_of, view, AttributeHead.predict) for view in views], dim=1)


def _fit(head: Head, views: Sequence[Tensor], truth: Tensor) -> list[AttributeHead]:
    """One head for each strength; attributes known of the same utterances are fitted together."""
    known = ~truth.isnan()
    unknown = (~known.any(dim=0)).nonzero().flatten().tolist()
    if unknown:
        raise ValueError(
            f"speakers {', '.join(head.trained_on)} have no utterance with attribute {unknown[0] + 1} of those listed, "
            "so no head can be fitted on them alone; leave that attribute out."
        )
    inputs = torch.cat([_inputs(head, view) for view in views])
    lowest, highest = truth.nan_to_num(nan=torch.inf).amin(dim=0), truth.nan_to_num(nan=-torch.inf).amax(dim=0)
    shape = len(STRENGTHS), truth.shape[1]
    weight, bias = torch.empty(*shape, inputs.shape[1]), torch.empty(*shape)
    patterns, pattern_of = known.unique(dim=1, return_inverse=True)
    for index, pattern in enumerate(patterns.unbind(dim=1)):
        columns, rows = pattern_of == index, pattern.repeat(len(views))
        targets = truth.repeat(len(views), 1)[rows][:, columns]
        for place, strength in enumerate(STRENGTHS):
            weight[place, columns], bias[place, columns] = ridge(inputs[rows], targets, strength)
    return [AttributeHead(head, *pair, lowest, highest) for pair in zip(weight, bias)]


def _inputs(head: Head, features: Tensor) -> Tensor:
    """What the emotion head multiplies with its weights: [n, L, D] -> [n, L * D]."""
    share = (head.layer_weights[:, None] / features.shape[-1]).sqrt()
    return (head.standardised(features) * share).flatten(1)
