"""Speaker-grouped folds, outer ones to score and inner ones to choose, and the utterances that keep their label."""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import filter as matching

from akd_toolkit.data.manifest import Manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OuterFold:
    """One outer fold: ``test_speakers`` are scored once, everything is chosen and trained on ``train_speakers``."""

    index: int
    test_speakers: tuple[str, ...]
    train_speakers: tuple[str, ...]


def named_groups(speakers: Sequence[str], groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """The groups with the speakers that each pattern matches, such as ``EmoDB/*``; other names stay."""
    return [[found for name in group for found in matching(speakers, name) or [name]] for group in groups]


def outer_folds(manifest: Manifest, speaker_groups: Sequence[Sequence[str]]) -> list[OuterFold]:
    """Each group of speakers is the test once; all other groups are its training speakers.

    A class without test utterances is only logged (EmoDB's speaker 08 has no disgust): such a fold is scored over the
    other classes.
    """
    groups = [tuple(str(speaker) for speaker in group) for group in speaker_groups]
    named = Counter(speaker for group in groups for speaker in group)
    if len(groups) < 2 or not all(groups):
        raise ValueError(f"speaker_groups must hold two groups or more, none of them empty, got {groups}.")
    known = ", ".join(manifest.speakers)
    for problem, speakers in (
        ("is in two groups", [name for name, count in named.items() if count > 1]),
        ("is in no group", sorted(set(manifest.speakers) - set(named))),
        (f"is not one of {known} (YAML reads 08 as a number: quote it)", sorted(set(named) - set(manifest.speakers))),
    ):
        if speakers:
            raise ValueError(f"speaker {', '.join(speakers)} {problem}; correct speaker_groups of {manifest.corpus}.")
    folds = []
    for index, test in enumerate(groups):
        fold = OuterFold(index, test, tuple(s for other in groups if other is not test for s in other))
        untrained, untested = (
            [label for label in manifest.label_order if label not in {row.emotion for row in manifest.of(side)}]
            for side in (fold.train_speakers, fold.test_speakers)
        )
        if untrained:
            raise ValueError(
                f"fold {index} has no training utterance of {', '.join(untrained)} (speakers "
                f"{', '.join(fold.train_speakers)}); regroup speaker_groups, or drop the label from label_order."
            )
        if untested:
            logger.warning("fold %d is tested without %s: no utterance there.", index, ", ".join(untested))
        folds.append(fold)
    return folds


def inner_folds(
    train_speakers: Sequence[str], speaker_groups: Sequence[Sequence[str]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The outer groups that remain in training, each one the validation once: (inner train, inner validation).

    Example
    -------
    >>> inner_folds(["A", "B"], [["A"], ["B"], ["C"]])
    [(('B',), ('A',)), (('A',), ('B',))]
    """
    train = set(train_speakers)
    groups = [tuple(str(speaker) for speaker in group) for group in speaker_groups]
    remaining = [group for group in groups if train.intersection(group)]
    if {speaker for group in remaining for speaker in group} != train:
        raise ValueError(f"the training speakers {sorted(train)} are not whole speaker groups of {groups}.")
    if len(remaining) < 2:
        raise ValueError(f"inner folds need two groups of training speakers, got {remaining}; use three outer groups.")
    return [(tuple(s for other in remaining if other is not valid for s in other), valid) for valid in remaining]


def labelled_ids(manifest: Manifest, share: float, seed: int) -> frozenset[str]:
    """IDs of the utterances that keep their label: of every speaker the same share, each class as often as possible.

    The draw depends on the corpus, the share, in (0, 1], and the seed alone, so it is the same for every system and
    fold, and that of a speaker does not depend on the labels of others. Classes take turns: within a speaker none is
    drawn again before every other one was, and where one speaker stops the next goes on.
    """

    def draw(name: str) -> str:
        return hashlib.sha256(f"{manifest.corpus}/{share:g}/{seed}/{name}".encode()).hexdigest()

    if share == 1:
        return frozenset(manifest.ids)
    cells = defaultdict(lambda: defaultdict(list))  # speaker -> class -> IDs
    for row in manifest:
        cells[row.speaker][row.emotion].append(row.id)
    chosen, seen = [], 0
    for speaker in sorted(cells, key=draw):
        turns = []
        for label, ids in cells[speaker].items():
            first = (manifest.label_order.index(label) - len(chosen)) % len(manifest.label_order)
            turns += [(place, first, name) for place, name in enumerate(sorted(ids, key=draw))]
        seen += len(turns)
        # rounded over all speakers so far: the share is right even where each has few utterances
        chosen += [name for _, _, name in sorted(turns)[: round(share * seen) - len(chosen)]]
    return frozenset(chosen)
