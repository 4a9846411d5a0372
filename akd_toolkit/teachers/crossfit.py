"""Cross-fitting: the soft targets of an utterance come from a head that was not trained on its speaker."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.metrics.calibration import least_temperature
from akd_toolkit.teachers.base import fingerprint_of
from akd_toolkit.teachers.head import Head, balanced_nll, class_balance, fit_heads, usable
from akd_toolkit.teachers.store import is_missing

logger = logging.getLogger(__name__)
VERSION = 1  # of stored heads; raise it when the same features give other numbers
L2 = (1e-3, 1e-4, 1e-5)  # strengths to choose from, strong to weak
CHUNK = 1024  # utterances of other speech whose features are in memory at once


@dataclass(frozen=True)
class SoftTargets:
    """One teacher's logits for every utterance of a corpus, for one set of training speakers.

    ``heads[head_of[i]]`` gives the target of utterance i and was not trained on its speaker, else ValueError.
    ``heads[-1]`` was trained on all training speakers and gives the targets of all others.
    """

    title: str
    ids: tuple[str, ...]  # [n], as the speakers and head_of
    speakers: tuple[str, ...]
    logits: Tensor  # [n, views, classes], calibrated; NaN where there are no features
    head_of: tuple[int, ...]
    heads: tuple[Head, ...]

    def __post_init__(self):
        for utterance, speaker, index in zip(self.ids, self.speakers, self.head_of):
            if speaker in self.heads[index].trained_on:
                raise ValueError(
                    f"teacher {self.title}: the head for utterance {utterance} was trained on its speaker "
                    f"{speaker}; cross-fit again with speaker groups that keep a speaker together."
                )

    @property
    def head(self) -> Head:
        """The head that was trained on all training speakers."""
        return self.heads[-1]

    def described_heads(self) -> list[dict]:
        """Of each head: the speakers it was trained on, those it gives targets for, penalty and temperature."""
        served = [set() for _ in self.heads]
        for speaker, index in zip(self.speakers, self.head_of):
            served[index].add(speaker)
        return [
            {"trained_on": list(h.trained_on), "answers_for": sorted(own), "l2": h.l2, "temperature": h.temperature}
            for h, own in zip(self.heads, served)
        ]

    def embed(self, features: np.ndarray) -> Tensor:
        """Embedding [n, D] of features [n, L, D], by one head for all utterances, so that all lie in one space."""
        return self.head.embed(torch.as_tensor(features))


def by_own_head(heads: Sequence, head_of: Sequence[int], features: Tensor, call: Callable = Head.logits) -> Tensor:
    """``call(head, features)`` of each utterance with its own head: features [n, L, D] -> [n, ...]."""
    values = None
    for index in np.unique(head_of):
        rows = torch.from_numpy(np.flatnonzero(np.asarray(head_of) == index))
        part = call(heads[index], features[rows])
        values = torch.empty(len(features), *part.shape[1:]) if values is None else values
        values[rows] = part
    return values


def crossfit(
    features: Sequence[np.ndarray],
    labels: np.ndarray,
    speakers: Sequence[str],
    groups: Sequence[Sequence[str]],
    train_speakers: Sequence[str],
    label_order: Sequence[str],
    ids: Sequence[str] | None = None,
    l2: Sequence[float] = L2,
    title: str = "teacher",
    folder: Path | None = None,
    labelled: np.ndarray | None = None,
) -> SoftTargets:
    """Soft targets from heads that were not trained on the speaker of the utterance.

    A training utterance gets its target from a head trained on the training speakers outside its speaker's group, any
    other utterance from a head trained on all training speakers; heads are trained on all views. Penalty and
    temperature are those with the least balanced cross-entropy over all views of the cross-fitted training utterances.
    Utterances whose features are NaN take no part and have targets of NaN.

    Arguments
    ---------
    features
        One [n, L, D] for each view, the clean one first.
    labels
        [n], indices into ``label_order``.
    groups
        Speaker groups that stay together, usually those of the outer folds. Where fewer than two of them are in
        training, each training speaker is a group.
    train_speakers, labelled
        Whose labels may be used, a part of the corpus for inner runs; and which of their utterances [n], all if None.
    l2
        Penalties to choose from, strong to weak.
    folder
        Where heads are stored and found again; None stores none.

    ValueError if there are fewer than two training speakers, the teacher has no output for any of them, one is in no
    group, or a class is missing without one group.

    Example
    -------
    >>> x = np.array([-1, 1, -2, 2, -3, 3], dtype=np.float32).reshape(6, 1, 1)
    >>> groups, labels = [["A"], ["B"], ["C"]], np.array([0, 1] * 3)
    >>> targets = crossfit([x], labels, list("AABBCC"), groups, ["A", "B"], ("low", "high"))
    >>> [head.trained_on for head in targets.heads], targets.head_of
    ([('B',), ('A',), ('A', 'B')], (0, 0, 1, 1, 2, 2))
    >>> targets.logits.argmax(dim=-1).flatten().tolist()
    [0, 1, 0, 1, 0, 1]
    """
    names = np.array(list(map(str, speakers)))
    train = tuple(sorted(set(map(str, train_speakers)) & set(names)))
    inner = _inner_groups(groups, train)
    views = [torch.tensor(np.asarray(view)) for view in features]
    classes = torch.tensor(np.asarray(labels), dtype=torch.long)

    known = ~is_missing(views[0]).numpy()
    if not (known & np.isin(names, train)).any():
        raise ValueError(
            f"teacher {title} has no output for any utterance of the training speakers {', '.join(train)}; check that "
            "the manifest or table has what it reads, or leave the teacher out."
        )
    known &= True if labelled is None else np.asarray(labelled)

    def fitted(chosen: list[str]) -> list[Head]:
        rows = np.flatnonzero(np.isin(names, chosen) & known)
        return _fitted_or_read([view[rows] for view in views], classes[rows], names[rows], label_order, l2, folder)

    paths = [fitted([name for name in train if name not in group]) for group in inner] + [fitted(list(train))]
    head_of = np.full(len(names), len(inner))
    for index, group in enumerate(inner):
        head_of[np.isin(names, group)] = index
    rows = np.flatnonzero(np.isin(names, train) & known)
    balance = class_balance(classes[rows], label_order, train)
    choice, temperature, nll = _best_penalty(
        paths, [view[rows] for view in views], classes[rows], head_of[rows], balance
    )
    heads = tuple(replace(path[choice], temperature=temperature) for path in paths)
    logger.info(
        "teacher %s: heads for %d training speakers, l2 %g, temperature %.2f, cross-fitted cross-entropy %.3f nats.",
        *(title, len(train), heads[-1].l2, temperature, nll),
    )
    ids = tuple(map(str, range(len(names)))) if ids is None else tuple(ids)
    logits = torch.stack([by_own_head(heads, head_of, view) for view in views], dim=1)
    return SoftTargets(title, ids, tuple(names.tolist()), logits, tuple(head_of.tolist()), heads)


def _inner_groups(groups: Sequence[Sequence[str]], train: Sequence[str]) -> list[list[str]]:
    inner = [own for group in groups if (own := [str(name) for name in group if str(name) in train])]
    if lost := sorted(set(train).difference(*inner)):
        raise ValueError(f"training speakers {', '.join(lost)} are in no speaker group; add them to one.")
    if len(train) < 2:
        raise ValueError(
            f"cross-fitting needs at least two training speakers, got {', '.join(train) or 'none'}; "
            "add speakers or make fewer, larger folds."
        )
    return inner if len(inner) > 1 else [[name] for name in train]


def _best_penalty(paths, views: list[Tensor], labels: Tensor, head_of, balance: Tensor) -> tuple[int, float, float]:
    """Index of the best penalty, its temperature and its balanced cross-entropy on cross-fitted utterances."""
    labels, balance = labels.repeat(len(views)), balance.repeat(len(views)) / len(views)
    found = []
    for index, heads in enumerate(zip(*paths)):
        logits = torch.cat([by_own_head(heads, head_of, view) for view in views])
        temperature = balanced_temperature(logits, labels, balance)
        nll = float(balanced_nll(logits.double() / temperature, labels, balance))
        found.append((index, temperature, nll))
    return min(found, key=lambda penalty: penalty[2])


def balanced_temperature(logits: Tensor, labels: Tensor, balance: Tensor) -> float:
    """The divisor of ``logits`` with the least balanced cross-entropy, from 0.05 to 20."""
    logits = logits.double()
    return least_temperature(lambda temperature: float(balanced_nll(logits / temperature, labels, balance)))


def _fitted_or_read(views: list[Tensor], labels: Tensor, speakers, label_order, l2, folder: Path | None) -> list[Head]:
    """Heads for these utterances, one for each penalty, from ``folder`` if they are stored there."""
    data = views, labels, speakers.tolist(), label_order, l2
    if folder is None:
        return fit_heads(*data)
    # The sum identifies the features: other features have another sum.
    key = fingerprint_of(
        *(VERSION, speakers.tolist(), labels.tolist(), list(label_order), list(map(float, l2))),
        *((list(view.shape), view.double().abs().sum().item()) for view in views),
    )
    paths = [Path(folder) / f"head-{key}-{index}.safetensors" for index in range(len(l2))]
    if not all(path.is_file() for path in paths):
        for path, head in zip(paths, fit_heads(*data)):
            head.write(path)
    return [Head.read(path, label_order) for path in paths]


def transfer(target: SoftTargets, store, manifest: Manifest, standardise: float = 1.0) -> SoftTargets:
    """Soft targets of the same teacher for the speech of ``manifest``, see ``transfer_fold``."""
    own_head, last = dict(zip(target.speakers, target.head_of)), len(target.heads) - 1
    head_of = [own_head.get(row.speaker, last) for row in manifest]
    starts = range(0, len(manifest), CHUNK)

    def chunks(view: int) -> Iterator[Tensor]:
        for start in starts:
            yield torch.from_numpy(store.get(manifest.ids[start : start + CHUNK], view))

    found = moments(part for chunk in chunks(view=0) if len(part := chunk[~is_missing(chunk)]))
    heads = target.heads
    if found is not None:
        heads = tuple(_restandardised(head, *found, standardise) for head in target.heads)
    views = []
    for view in range(store.num_views):
        parts = zip(starts, chunks(view))
        views.append(torch.cat([by_own_head(heads, head_of[start : start + CHUNK], part) for start, part in parts]))
    rows = {"ids": manifest.ids, "speakers": tuple(row.speaker for row in manifest), "head_of": tuple(head_of)}
    return replace(target, **rows, heads=heads, logits=torch.stack(views, dim=1))


def _restandardised(head: Head, mean: Tensor, deviation: Tensor, share: float) -> Head:
    if share == 1:
        return replace(head, mean=mean, deviation=deviation)
    between = (head.deviation ** (1 - share)) * deviation**share  # infinite where either does not vary
    return replace(head, mean=head.mean.lerp(mean, share), deviation=between) if share else head


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation over the utterances of all chunks [n, L, D], infinite where constant: [L, D] each, or None.

    Source: feature-wise moment matching, the diagonal case of Sun, Feng & Saenko 2016 (CORAL).
    """
    count, mean, squares = 0, 0.0, 0.0
    for chunk in chunks:  # Chan, Golub & LeVeque 1979: stable where the mean is large
        features = chunk.double()
        step = features.mean(dim=0) - mean
        squares = squares + (features - features.mean(dim=0)).square().sum(dim=0)
        squares = squares + step.square() * count * len(features) / (count + len(features))
        count += len(features)
        mean = mean + step * len(features) / count
    if not count:
        return None
    return mean.float(), usable((squares / count).sqrt(), mean).float()
