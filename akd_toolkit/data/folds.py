"""Speaker-grouped folds: outer ones to score, inner ones to choose."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from akd_toolkit.data.manifest import Manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OuterFold:
    """One outer fold: ``test_speakers`` are scored once, everything is chosen and trained on ``train_speakers``."""

    index: int
    test_speakers: tuple[str, ...]
    train_speakers: tuple[str, ...]


def outer_folds(manifest: Manifest, speaker_groups: Sequence[Sequence[str]]) -> list[OuterFold]:
    """Each group of speakers is the test once; all other groups are its training speakers.

    A class that no test speaker has is logged, not refused (EmoDB's speaker 08 has no disgust): such a fold is scored
    over the classes that are there.

    Raises
    ------
    ValueError
        If a speaker is in no group, in two, or unknown to the manifest, or a fold's training lacks a class.

    Example
    -------
    >>> from akd_toolkit.data.manifest import Utterance
    >>> rows = [Utterance(s, f"/{s}.wav", 0, 16000, 1.0, speaker=s, emotion="neutral") for s in "ABC"]
    >>> outer_folds(Manifest("toy", ("neutral",), rows), [["A"], ["B", "C"]])[1]
    OuterFold(index=1, test_speakers=('B', 'C'), train_speakers=('A',))
    """
    groups = [tuple(str(speaker) for speaker in group) for group in speaker_groups]
    _check_groups(manifest, groups)
    folds = []
    for index, test_speakers in enumerate(groups):
        train_speakers = tuple(s for other in groups if other is not test_speakers for s in other)
        fold = OuterFold(index, test_speakers, train_speakers)
        _check_classes(manifest, fold)
        folds.append(fold)
    return folds


def inner_folds(
    train_speakers: Sequence[str], speaker_groups: Sequence[Sequence[str]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The outer groups that remain in training, each one the validation once: (inner train, inner validation).

    Raises
    ------
    ValueError
        If a group lies only partly in ``train_speakers``, or fewer than two groups remain.

    Example
    -------
    >>> inner_folds(["A", "B"], [["A"], ["B"], ["C"]])
    [(('B',), ('A',)), (('A',), ('B',))]
    """
    train, remaining = set(train_speakers), []
    for group in (tuple(str(speaker) for speaker in group) for group in speaker_groups):
        inside = train.intersection(group)
        if inside and len(inside) < len(group):
            raise ValueError(
                f"speaker group {list(group)} is only partly in the training speakers {sorted(train)}; "
                "inner folds follow the outer groups. Give the groups that made the outer folds."
            )
        if inside:
            remaining.append(group)
    left_over = sorted(train.difference(*remaining))
    if left_over:
        raise ValueError(f"training speakers {', '.join(left_over)} are in no speaker group; add them to one.")
    if len(remaining) < 2:
        raise ValueError(
            f"inner folds need at least two groups of training speakers, got {remaining}. "
            "Use three outer groups or more."
        )
    return [(tuple(s for other in remaining if other is not valid for s in other), valid) for valid in remaining]


def _check_groups(manifest: Manifest, groups: list[tuple[str, ...]]) -> None:
    if len(groups) < 2:
        raise ValueError(f"speaker_groups must hold at least two groups, got {groups}.")
    if not all(groups):
        raise ValueError(f"speaker_groups must not hold an empty group, got {groups}. Remove it.")
    home = {}
    for index, group in enumerate(groups):
        for speaker in group:
            if speaker in home:
                raise ValueError(
                    f"speaker {speaker} is in speaker_groups {home[speaker]} and {index}; each belongs to exactly one. "
                    "Remove it from one of them."
                )
            home[speaker] = index
    missing, unknown = sorted(set(manifest.speakers) - set(home)), sorted(set(home) - set(manifest.speakers))
    if missing:
        raise ValueError(
            f"speaker {', '.join(missing)} of {manifest.corpus} is missing from every fold; add to speaker_groups."
        )
    if unknown:
        raise ValueError(
            f"speaker_groups name {', '.join(unknown)}, unknown to {manifest.corpus}, which has "
            f"{', '.join(manifest.speakers)}. YAML reads 08 as a number: quote speakers."
        )


def _check_classes(manifest: Manifest, fold: OuterFold) -> None:
    for side, speakers in (("training", fold.train_speakers), ("test", fold.test_speakers)):
        heard = {row.emotion for row in manifest.of(speakers)}
        absent = [label for label in manifest.label_order if label not in heard]
        if absent and side == "training":
            raise ValueError(
                f"fold {fold.index} has no training utterance of {', '.join(absent)} "
                f"(speakers {', '.join(speakers)}); regroup speaker_groups, or drop the label from label_order."
            )
        if absent:
            logger.warning("fold %d is tested without %s: no utterance there.", fold.index, ", ".join(absent))
