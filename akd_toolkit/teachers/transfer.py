"""What a corpus's teachers answer on other people's speech."""

from dataclasses import replace

import torch

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.teachers.bank import TeacherBank, TeacherFold
from akd_toolkit.teachers.crossfit import SoftTargets
from akd_toolkit.teachers.head import Head
from akd_toolkit.teachers.store import FeatureStore


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
    targets = [_answers(*pair, heard) for pair in zip(fold.targets, other.stores.values())]
    predictors = [
        tuple(replace(old, head=head) for old, head in zip(predictor, target.heads))
        for predictor, target in zip(fold.predictors, targets)
    ]
    return TeacherFold(targets, _views(other, heard), predictors=predictors)


def _answers(target: SoftTargets, store: FeatureStore, heard: Manifest) -> SoftTargets:
    features = [torch.tensor(store.get(heard.ids, view)) for view in range(store.num_views)]
    own_head = dict(zip(target.speakers, target.head_of))
    last = len(target.heads) - 1
    head_of = [own_head.get(row.speaker, last) for row in heard]
    heads = tuple(adapted(head, features[0]) for head in target.heads)
    logits = torch.empty(len(heard), store.num_views, len(target.label_order))
    for index in set(head_of):
        rows = torch.tensor([row for row, own in enumerate(head_of) if own == index])
        for view, values in enumerate(features):
            logits[rows, view] = heads[index].logits(values[rows])
    return SoftTargets(
        title=target.title,
        ids=heard.ids,
        speakers=tuple(row.speaker for row in heard),
        logits=logits,
        head_of=tuple(head_of),
        heads=heads,
        label_order=target.label_order,
        train_speakers=target.train_speakers,
    )


def _views(other: TeacherBank, heard: Manifest) -> list:
    """Stores that show no more than what is heard, for embeddings and frames."""
    return [_Part(store, heard) for store in other.stores.values()]


class _Part:
    """A feature store read through a part of its corpus."""

    def __init__(self, store: FeatureStore, heard: Manifest):
        self.store, self.ids = store, heard.ids
        self.with_frames, self.num_views = store.with_frames, store.num_views

    def view(self, view: int):
        return self.store.get(self.ids, view)

    def frames(self, ids, view: int):
        return self.store.frames(ids, view)

    @property
    def frame_dim(self) -> int:
        return self.store.frame_dim


def adapted(head: Head, features: torch.Tensor) -> Head:
    """The head with the mean and deviation of ``features`` [n, L, D] in place of its own.

    Source: feature-wise moment matching, the diagonal case of Sun, Feng & Saenko 2016 (CORAL).

    Example
    -------
    >>> one = torch.ones(1, 1)
    >>> weight = torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    >>> head = Head(0 * one, one, torch.ones(1), weight, torch.zeros(2), ("a", "b"), ("speaker 1",), l2=0.1)
    >>> louder = torch.tensor([[[8.0]], [[12.0]]])  # the same voices elsewhere: mean 10, deviation 2
    >>> adapted(head, louder).logits(louder)
    tensor([[-1.,  1.],
            [ 1., -1.]])
    """
    mean = features.mean(dim=0)
    deviation = features.std(dim=0, correction=0)
    deviation = torch.where(deviation > 1e-5 * mean.abs() + 1e-8, deviation, torch.inf)
    return replace(head, mean=mean, deviation=deviation)
