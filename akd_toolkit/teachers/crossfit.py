"""Soft targets that no utterance's own speaker has shaped."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.teachers.base import fingerprint_of
from akd_toolkit.teachers.fitting import balanced_nll, best_temperature, class_balance
from akd_toolkit.teachers.head import Head, fit_heads

logger = logging.getLogger(__name__)
VERSION = 1  # of stored heads; raise it when the same features give other numbers
L2 = (1e-3, 1e-4, 1e-5)  # strengths to choose from, strong to weak


@dataclass(frozen=True)
class SoftTargets:
    """What one teacher says of every utterance of a corpus, for one set of training speakers.

    ``heads[head_of[i]]`` spoke for utterance i and has not heard its speaker; a set of targets in which one has is
    refused when it is made. ``heads[-1]`` has heard all training speakers and speaks for all others.

    Shape
    -----
    ids, speakers: n. logits: [n, views, classes], calibrated. head_of: [n].

    Raises
    ------
    ValueError
        If a head has heard the speaker for whom it speaks.
    """

    title: str
    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    logits: Tensor
    head_of: tuple[int, ...]
    heads: tuple[Head, ...]
    label_order: tuple[str, ...]
    train_speakers: tuple[str, ...]

    def __post_init__(self):
        for utterance, speaker, index in zip(self.ids, self.speakers, self.head_of):
            if speaker in self.heads[index].heard:
                raise ValueError(
                    f"teacher {self.title}: the head that speaks for utterance {utterance} was fitted on its speaker "
                    f"{speaker}; cross-fit again with speaker groups that keep a speaker together."
                )

    @property
    def head(self) -> Head:
        """The head that has heard all training speakers."""
        return self.heads[-1]

    def described_heads(self) -> list[dict]:
        """Of each head: the speakers that it was fitted on, and those whose utterances it answers for."""
        found = []
        for index, head in enumerate(self.heads):
            answered = sorted({speaker for speaker, own in zip(self.speakers, self.head_of) if own == index})
            options = {"l2": head.l2, "temperature": head.temperature}
            found.append({"trained_on": list(head.heard), "answers_for": answered, **options})
        return found

    def embed(self, features: np.ndarray) -> Tensor:
        """Embedding [n, D] of features [n, L, D].

        One head makes it for all utterances, so that all lie in one space. It depends on training labels through the
        L layer weights only.
        """
        return self.head.embed(torch.as_tensor(features))


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
) -> SoftTargets:
    """Soft targets from heads that have not heard the speaker they speak for.

    A training utterance is answered by a head fitted on the training speakers outside its speaker's group, any other
    utterance by a head fitted on all training speakers. Heads hear all views. Penalty and temperature are those with
    the least balanced cross-entropy over all views of the training utterances, each answered by a head that has not
    heard its speaker.

    Arguments
    ---------
    groups
        Speaker groups that stay together, usually those of the outer folds. Where fewer than two lie in training,
        each training speaker is a group.
    train_speakers
        Whose labels may be used at all; a part of them for inner runs.
    l2
        Penalties to choose from, strong to weak.
    folder
        Where heads are kept and found again; None keeps none.

    Shape
    -----
    features: one [n, L, D] for each view, the clean one first. labels: [n], indices into ``label_order``.

    Raises
    ------
    ValueError
        If fewer than two training speakers have utterances, a group's absence leaves a class empty, or a head would
        speak for a speaker whom it has heard.

    Example
    -------
    >>> x = np.array([-1, 1, -2, 2, -3, 3], dtype=np.float32).reshape(6, 1, 1)
    >>> groups, labels = [["A"], ["B"], ["C"]], np.array([0, 1] * 3)
    >>> targets = crossfit([x], labels, list("AABBCC"), groups, ["A", "B"], ("low", "high"))
    >>> [head.heard for head in targets.heads], targets.head_of
    ([('B',), ('A',), ('A', 'B')], (0, 0, 1, 1, 2, 2))
    >>> targets.logits.argmax(dim=-1).flatten().tolist()
    [0, 1, 0, 1, 0, 1]
    """
    names = np.array([str(speaker) for speaker in speakers])
    train = tuple(sorted({str(speaker) for speaker in train_speakers} & set(names)))
    inner = _inner_groups(groups, train)
    views = [torch.tensor(np.asarray(view)) for view in features]
    classes = torch.tensor(np.asarray(labels), dtype=torch.long)

    def fitted(heard: list[str]) -> list[Head]:
        rows = np.flatnonzero(np.isin(names, heard))
        return _fitted_or_read([view[rows] for view in views], classes[rows], names[rows], label_order, l2, folder)

    paths = [fitted([name for name in train if name not in group]) for group in inner] + [fitted(list(train))]
    head_of = np.full(len(names), len(inner))
    for index, group in enumerate(inner):
        head_of[np.isin(names, group)] = index
    rows = np.flatnonzero(np.isin(names, train))
    heard = [view[rows] for view in views]
    choice, temperature, nll = _choose(paths, heard, classes[rows], head_of[rows], label_order, train)
    heads = tuple(replace(path[choice], temperature=temperature) for path in paths)
    logits = torch.stack([_answers(heads, view, head_of) for view in views], dim=1)
    logger.info(
        "teacher %s: heads for %d training speakers, l2 %g, temperature %.2f, %.3f nats on unheard speakers.",
        *(title, len(train), heads[-1].l2, temperature, nll),
    )
    return SoftTargets(
        title=title,
        ids=tuple(ids) if ids is not None else tuple(map(str, range(len(names)))),
        speakers=tuple(names.tolist()),
        logits=logits,
        head_of=tuple(head_of.tolist()),
        heads=heads,
        label_order=tuple(label_order),
        train_speakers=train,
    )


def _inner_groups(groups: Sequence[Sequence[str]], train: Sequence[str]) -> list[list[str]]:
    inner = [[str(name) for name in group if str(name) in train] for group in groups]
    inner = [group for group in inner if group]
    lost = sorted(set(train) - {name for group in inner for name in group})
    if lost:
        raise ValueError(f"training speakers {', '.join(lost)} are in no speaker group; add them to one.")
    if len(inner) < 2:
        inner = [[name] for name in train]
    if len(inner) < 2:
        raise ValueError(
            f"cross-fitting needs at least two training speakers, got {', '.join(train) or 'none'}; "
            "add speakers or make fewer, larger folds."
        )
    return inner


def _choose(paths, views: list[Tensor], labels: Tensor, head_of, label_order, train) -> tuple[int, float, float]:
    """Index of the best penalty, its temperature and its balanced cross-entropy on unheard speakers."""
    balance = class_balance(labels, label_order, train).repeat(len(views)) / len(views)
    labels = labels.repeat(len(views))
    best = None
    for index in range(len(paths[0])):
        heads = [path[index] for path in paths]
        logits = torch.cat([_answers(heads, view, head_of) for view in views])
        temperature = best_temperature(logits, labels, balance)
        nll = float(balanced_nll(logits.double() / temperature, labels, balance))
        if best is None or nll < best[2]:
            best = (index, temperature, nll)
    return best


def _answers(heads: Sequence[Head], features: Tensor, head_of: np.ndarray) -> Tensor:
    """Logits [n, C], each utterance answered by its own head."""
    logits = torch.empty(len(features), len(heads[0].label_order))
    for index, head in enumerate(heads):
        rows = torch.from_numpy(np.flatnonzero(head_of == index))
        if len(rows):
            logits[rows] = head.logits(features[rows])
    return logits


def _fitted_or_read(views: list[Tensor], labels: Tensor, speakers, label_order, l2, folder: Path | None) -> list[Head]:
    """Heads for these utterances, one for each penalty, from ``folder`` where they were fitted before."""
    if folder is None:
        return fit_heads(views, labels, speakers.tolist(), label_order, l2)
    # The sum stands for the features: another store, another sum.
    key = fingerprint_of(
        *(VERSION, speakers.tolist(), labels.tolist(), list(label_order), list(map(float, l2))),
        *((list(view.shape), view.double().abs().sum().item()) for view in views),
    )
    paths = [Path(folder) / f"head-{key}-{index}.safetensors" for index in range(len(l2))]
    if not all(path.is_file() for path in paths):
        for path, head in zip(paths, fit_heads(views, labels, speakers.tolist(), label_order, l2)):
            head.write(path)
    return [Head.read(path, label_order) for path in paths]
