"""Which utterances an epoch hears, and in what order."""

from typing import Literal

import numpy as np
from pydantic import Field

from akd_toolkit.data.manifest import Manifest
from akd_toolkit.declared import Section, checked


class Sampling(Section):
    """The setting ``sampling``."""

    name: Literal["natural", "class_balanced", "speaker_balanced"] = Field(
        description="natural has every utterance once, the others each class or speaker equally often"
    )


def epoch_order(manifest: Manifest, sampling: str, random: np.random.Generator) -> np.ndarray:
    """Rows of the manifest that one epoch hears, in random order: as many as it has utterances.

    ``natural`` hears every utterance once. ``class_balanced`` and ``speaker_balanced`` hear each class, or speaker,
    equally often up to one; within it nothing is heard a second time before everything has been heard once.
    """
    if sampling == "natural":
        return random.permutation(len(manifest))
    speakers = np.unique([row.speaker for row in manifest], return_inverse=True)[1]
    return balanced_order(manifest.labels if sampling == "class_balanced" else speakers, random)


def balanced_order(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As many rows as there are, each group among them equally often; which groups get the remainder is drawn.

    Example
    -------
    >>> groups = np.array([0, 0, 0, 0, 0, 1])
    >>> np.bincount(groups[balanced_order(groups, np.random.default_rng(0))])
    array([3, 3])
    """
    present = np.unique(groups)
    share, rest = divmod(len(groups), len(present))
    more = random.permutation(len(present)) < rest
    chosen = []
    for group, count in zip(present, share + more):
        rows = np.flatnonzero(groups == group)
        rounds = [random.permutation(rows) for _ in range(-(-count // len(rows)))]
        chosen += [np.concatenate(rounds)[:count]] if rounds else []
    return random.permutation(np.concatenate(chosen))


def sampling_of(spec: dict | None) -> str:
    """The name in the setting ``sampling``; ``natural`` where there is none.

    Raises
    ------
    ValueError
        If the name is unknown, or there are other keys.

    Example
    -------
    >>> sampling_of({"name": "class_balanced"})
    'class_balanced'
    """
    return "natural" if spec is None else checked(Sampling, spec, "sampling").name
