"""What a corpus's teachers answer on other people's speech."""

from dataclasses import replace

import torch

from akd_toolkit.teachers.bank import TeacherBank, TeacherFold
from akd_toolkit.teachers.crossfit import SoftTargets
from akd_toolkit.teachers.head import Head


def answers_on(other: TeacherBank, fold: TeacherFold) -> TeacherFold:
    """Soft targets of ``fold``'s teachers for every utterance of another, unlabelled corpus.

    The heads are those that have heard all of the fold's training speakers, and nobody else. Statistics are
    standardised by the other corpus's own mean and deviation, so that its language, room and level do not shift every
    answer to one class.

    Arguments
    ---------
    other
        A bank of the same teachers over the unlabelled corpus.
    fold
        The teachers of one set of training speakers.
    """
    answers = []
    for target, store in zip(fold.targets, other.stores.values()):
        head = adapted(target.head, torch.tensor(store.view(0)))
        logits = [head.logits(torch.tensor(store.view(view))) for view in range(store.num_views)]
        count = len(other.manifest)
        answers.append(
            SoftTargets(
                title=target.title,
                ids=other.manifest.ids,
                speakers=tuple(f"{other.manifest.corpus}/{row.speaker}" for row in other.manifest),
                logits=torch.stack(logits, dim=1),
                head_of=(0,) * count,
                heads=(head,),
                label_order=target.label_order,
                train_speakers=target.train_speakers,
            )
        )
    return TeacherFold(answers, list(other.stores.values()))


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
