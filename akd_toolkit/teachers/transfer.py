"""What a corpus's teachers answer on other people's speech."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.teachers.bank import TeacherBank, TeacherFold
from akd_toolkit.teachers.crossfit import SoftTargets
from akd_toolkit.teachers.store import FeatureStore

CHUNK = 1024  # utterances whose features are in memory at once


def answers_on(other: TeacherBank, fold: TeacherFold, heard: Manifest) -> TeacherFold:
    """Soft targets of ``fold``'s teachers for the utterances of another, unlabelled corpus that a student may hear.

    A speaker of the fold's training, whose mixtures are in that corpus, is answered by the head that has not heard
    that speaker, anybody else by the head that has heard all training speakers. Statistics are standardised by the
    mean and deviation of what is heard, so that its language, room and level do not shift every answer to one class;
    what is not heard, such as mixtures of test speakers, has no part in them.

    Arguments
    ---------
    other
        A bank of the same teachers over the unlabelled corpus.
    fold
        The teachers of one set of training speakers.
    heard
        The part of the unlabelled corpus that the student hears.
    """
    stores = list(other.stores.values())
    targets = [_answers(*pair, heard) for pair in zip(fold.targets, stores)]
    predictors = [
        tuple(replace(old, head=head) for old, head in zip(predictor, target.heads))
        for predictor, target in zip(fold.predictors, targets)
    ]
    return TeacherFold(targets, stores, predictors=predictors)


def _answers(target: SoftTargets, store: FeatureStore, heard: Manifest) -> SoftTargets:
    own_head = dict(zip(target.speakers, target.head_of))
    last = len(target.heads) - 1
    head_of = np.array([own_head.get(row.speaker, last) for row in heard])
    mean, deviation = moments(features for _, features in _chunks(store, heard.ids, view=0))
    heads = tuple(replace(head, mean=mean, deviation=deviation) for head in target.heads)
    logits = torch.empty(len(heard), store.num_views, len(target.label_order))
    for view in range(store.num_views):
        for start, features in _chunks(store, heard.ids, view):
            for index in set(head_of[start : start + len(features)].tolist()):
                rows = torch.from_numpy(np.flatnonzero(head_of[start : start + len(features)] == index))
                logits[start + rows, view] = heads[index].logits(features[rows])
    return SoftTargets(
        title=target.title,
        ids=heard.ids,
        speakers=tuple(row.speaker for row in heard),
        logits=logits,
        head_of=tuple(head_of.tolist()),
        heads=heads,
        label_order=target.label_order,
        train_speakers=target.train_speakers,
    )


def _chunks(store: FeatureStore, ids: Sequence[str], view: int) -> Iterator[tuple[int, Tensor]]:
    """Features [n, L, D] of the utterances in order, with the place of the first: never all of them in memory."""
    for start in range(0, len(ids), CHUNK):
        yield start, torch.from_numpy(store.get(ids[start : start + CHUNK], view))


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation over the utterances of all chunks [n, L, D]; infinite where nothing varies: [L, D] each.

    With these in place of a head's own, the mean and deviation of other people's speech do not shift its answers.

    Source: feature-wise moment matching, the diagonal case of Sun, Feng & Saenko 2016 (CORAL).

    Example
    -------
    >>> moments([torch.tensor([[[8.0]]]), torch.tensor([[[12.0]]])])
    (tensor([[10.]]), tensor([[2.]]))
    """
    count, mean, squares = 0, 0.0, 0.0
    for chunk in chunks:  # Chan, Golub & LeVeque 1979: stable where the mean is large
        features = chunk.double()
        step = features.mean(dim=0) - mean
        squares = squares + (features - features.mean(dim=0)).square().sum(dim=0)
        squares = squares + step.square() * count * len(features) / (count + len(features))
        count += len(features)
        mean = mean + step * len(features) / count
    deviation = (squares / count).sqrt()
    deviation = torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)
    return mean.float(), deviation.float()
