"""Speaker groups for a corpus that has no published folds."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from akd_toolkit.data.manifest import Utterance

FEWEST = 3  # speakers: one is tested, and of the others one is left out to choose
TRIES = 20
FEW = 8  # training speakers, up to which heads of teachers leave out one at a time, as in akd_toolkit.experiment.run


def propose_groups(rows: Sequence[Utterance], at_most: int = 5) -> list[list[str]]:
    """Groups of speakers with like shares of every class, each a test of the others.

    Speakers of whom a sound is the same, or whose parts of a recording overlap, stay together; utterances of unknown
    speakers from one recording do. Every training side has each class twice over, so that heads of teachers can be
    cross-fitted: from two groups or, where training speakers are few, from two speakers.

    *Source:* scikit-learn's StratifiedGroupKFold, and GroupKFold where that leaves a class out.

    Arguments
    ---------
    at_most
        How many groups are wanted; there are no more than speakers.

    Raises
    ------
    ValueError
        If there are fewer than three speakers, or some class is spoken by so few that a training side would lack it.

    Example
    -------
    >>> rows = [Utterance(f"{s}{e}", f"/{s}{e}.wav", 0, 1, 1.0, s, e) for s in "ABCDEF" for e in ("joy", "fear")]
    >>> propose_groups(rows, at_most=3)
    [['A', 'D'], ['B', 'E'], ['C', 'F']]
    """
    speakers = sorted({row.speaker for row in rows})
    if len(speakers) < FEWEST:
        raise ValueError(
            f"there {'is' if len(speakers) == 1 else 'are'} {len(speakers)} speaker{'s' * (len(speakers) != 1)} "
            f"({', '.join(speakers)}), and a score on unseen ones needs {FEWEST} at least; add recordings of others."
        )
    together = _together(rows, speakers)
    homes = together[np.searchsorted(speakers, [row.speaker for row in rows])]  # of each utterance
    num_folds = min(at_most, len(set(homes)))
    if num_folds < FEWEST:
        raise ValueError(
            f"speakers share recordings so much that only {num_folds} groups of them are apart, and {FEWEST} are "
            "needed; remove what is there twice."
        )
    labels = np.array([row.emotion for row in rows])
    worst = sorted(set(labels))
    for tests in _splits(labels, homes, num_folds):
        groups = sorted(sorted({rows[index].speaker for index in test}) for test in tests)
        if all(groups):
            worst = min(worst, _lacking(rows, groups), key=len)
            if not worst:
                return groups
    raise ValueError(
        f"{', '.join(_by_whom(rows, label) for label in worst)}: by too few, as every one of {num_folds} training "
        "sides needs each class from two speakers apart. Join it with another class or leave it out "
        f"(--labels '{worst[0]}=-')."
    )


def _splits(labels: np.ndarray, homes: np.ndarray, num_folds: int) -> Iterator[list[np.ndarray]]:
    """Test sides of several ways to split, the best first."""
    if np.unique(labels, return_counts=True)[1].max() >= num_folds:  # else scikit-learn refuses
        for seed in (None, *range(TRIES)):
            shuffled = {} if seed is None else {"shuffle": True, "random_state": seed}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a class rarer than folds, which is judged by us
                yield [test for _, test in StratifiedGroupKFold(num_folds, **shuffled).split(labels, labels, homes)]
    yield [test for _, test in GroupKFold(num_folds).split(labels, labels, homes)]


def _together(rows: Sequence[Utterance], speakers: list[str]) -> np.ndarray:
    """Which speakers must not be parted: [speakers], the same number for those who stay together."""
    place = {speaker: index for index, speaker in enumerate(speakers)}
    first: dict[str, int] = {}
    pairs = [(place[row.speaker], first.setdefault(row.sha256, place[row.speaker])) for row in rows if row.sha256]
    of_file: dict[str, list[Utterance]] = {}
    for row in sorted(rows, key=lambda row: row.start):
        of_file.setdefault(row.wav, []).append(row)
    for parts in of_file.values():
        last = parts[0]  # the part that reaches furthest so far
        for row in parts[1:]:
            if row.start < last.stop or row.speaker == row.id:
                pairs.append((place[row.speaker], place[last.speaker]))
            last = max(last, row, key=lambda part: part.stop)
    if not pairs:
        return np.arange(len(speakers))
    ends = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (ends[0], ends[1])), shape=(len(speakers),) * 2)
    return connected_components(graph, directed=False)[1]


def _lacking(rows: Sequence[Utterance], groups: list[list[str]]) -> list[str]:
    """Classes that some training side does not have twice, from speakers who are left out apart."""
    said = {(row.speaker, row.emotion) for row in rows}
    labels = sorted({label for _, label in said})
    lacking = set()
    for test in groups:
        train = [group for group in groups if group is not test]
        alone = [[speaker] for group in train for speaker in group]
        apart = alone if len(alone) <= FEW else train
        heard = [{label for speaker in group for label in labels if (speaker, label) in said} for group in apart]
        lacking |= {label for label in labels if sum(label in group for group in heard) < 2}
    return sorted(lacking)


def _by_whom(rows: Sequence[Utterance], label: str) -> str:
    speakers = sorted({row.speaker for row in rows if row.emotion == label})
    count = sum(row.emotion == label for row in rows)
    named = f"{', '.join(speakers[:3])}{', ...' * (len(speakers) > 3)}"
    return f"class '{label}' has {count} utterance{'s' * (count != 1)}, by {named}"
