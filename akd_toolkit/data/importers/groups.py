"""Speaker groups for a corpus that has no published folds."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import counted, some
from akd_toolkit.data.split_checks import spelling

FEWEST = 3  # groups: one is tested, and of the others one is left out to choose
TRIES = 20
FEW = 8  # training speakers, up to which teacher heads leave out one at a time, as in akd_toolkit.experiment.run


def propose_groups(rows: Sequence[Utterance], at_most: int = 5) -> list[list[str]]:
    """At most so many groups of speakers with similar shares of every class, each of which is tested once.

    Speakers whose names differ only in spelling (ANNA and anna), with an identical sound or overlapping parts of a
    recording stay together, and so do utterances of unknown speakers from one recording. Every training side has each
    class from at least two groups (from two speakers if they are few), so that teacher heads can be cross-fitted.

    Source: scikit-learn's StratifiedGroupKFold, or GroupKFold if that leaves a class out.
    """
    speakers = sorted({row.speaker for row in rows})
    homes = _together(rows, speakers)[np.searchsorted(speakers, [row.speaker for row in rows])]  # of each utterance
    num_folds = min(at_most, len(set(homes)))
    if num_folds < FEWEST:
        raise ValueError(
            f"the speakers ({', '.join(speakers[:3])}) form {num_folds} groups without common recordings, and a "
            f"score on unseen ones needs {FEWEST}; add recordings of others, or remove what is there twice."
        )
    labels = np.array([row.emotion for row in rows])
    worst = sorted(set(labels))
    for tests in _splits(labels, homes, num_folds):
        groups = sorted(sorted({rows[index].speaker for index in test}) for test in tests)
        if all(groups):
            worst = min(worst, _lacking(rows, groups), key=len)
            if not worst:
                return groups
    few = []
    for label in worst:
        who = [row.speaker for row in rows if row.emotion == label]
        few.append(f"class '{label}' has {counted(len(who), 'utterance')}, by {some(sorted(set(who)), 3)}")
    raise ValueError(
        f"{', '.join(few)}: too few, as each of {num_folds} training sides needs each class from two separate "
        f"speakers. Join it with another class or leave it out (--labels '{worst[0]}=-')."
    )


def _splits(labels: np.ndarray, homes: np.ndarray, num_folds: int) -> Iterator[list[np.ndarray]]:
    """Test sides of several ways to split, the best first."""
    if np.unique(labels, return_counts=True)[1].max() >= num_folds:  # else scikit-learn refuses
        for seed in (None, *range(TRIES)):
            shuffled = {} if seed is None else {"shuffle": True, "random_state": seed}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about rare classes, which are checked here
                yield [test for _, test in StratifiedGroupKFold(num_folds, **shuffled).split(labels, labels, homes)]
    yield [test for _, test in GroupKFold(num_folds).split(labels, labels, homes)]


def _together(rows: Sequence[Utterance], speakers: list[str]) -> np.ndarray:
    """Which speakers must stay together: [speakers], the same number for those."""
    place = {speaker: index for index, speaker in enumerate(speakers)}
    first: dict[tuple, int] = {}  # of each spelling and each sound, the speaker who has it first
    keys = [(speaker, ("spelling", spelling(speaker))) for speaker in speakers]
    keys += [(row.speaker, ("sound", row.sha256)) for row in rows if row.sha256]
    pairs = [(place[speaker], first.setdefault(key, place[speaker])) for speaker, key in keys]
    last: dict[str, Utterance] = {}  # of each file, the part that reaches furthest so far
    for row in sorted(rows, key=lambda row: row.start):
        before = last.get(row.wav)
        if before and (row.start < before.stop or row.speaker == row.id):
            pairs.append((place[row.speaker], place[before.speaker]))
        last[row.wav] = max(before or row, row, key=lambda part: part.stop)
    ends = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(len(speakers),) * 2)
    return connected_components(graph, directed=False)[1]


def _lacking(rows: Sequence[Utterance], groups: list[list[str]]) -> list[str]:
    """Classes that some training side does not have from two parts that are left out separately."""
    speakers, labels = ([getattr(row, name) for row in rows] for name in ("speaker", "emotion"))
    spoken = pd.crosstab(pd.Series(speakers), pd.Series(labels)) > 0
    group = spoken.index.map({speaker: number for number, group in enumerate(groups) for speaker in group})
    lacking: set[str] = set()
    for number in range(len(groups)):
        train = spoken[group != number]
        parts = train if len(train) <= FEW else train.groupby(group[group != number]).any()
        lacking |= set(parts.columns[parts.sum() < 2])
    return sorted(lacking)
