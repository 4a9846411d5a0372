"""Which utterances keep their label where only a share of the corpus is labelled."""

import hashlib
from collections import defaultdict

from akd_toolkit.data.manifest import Manifest


def labelled_ids(manifest: Manifest, share: float, seed: int) -> frozenset[str]:
    """IDs of the utterances that keep their label: of every speaker the same share, each class as often as possible.

    The draw depends on the corpus, the share and the seed alone, so it is the same for every system and fold, and that
    of a speaker does not depend on the labels of others. Classes take turns: within a speaker none is drawn again
    before every other one was, and where one speaker stops the next goes on.

    Arguments
    ---------
    share
        In (0, 1].

    Example
    -------
    >>> from akd_toolkit.data.manifest import Utterance
    >>> names = [speaker + label + number for speaker in "AB" for label in "xyz" for number in "12"]
    >>> rows = [Utterance(name, "-", 0, 1, 1.0, speaker=name[0], emotion=name[1]) for name in names]
    >>> chosen = labelled_ids(Manifest("toy", ("x", "y", "z"), tuple(rows)), share=0.5, seed=17)
    >>> sorted(name[:2] for name in chosen)
    ['Ax', 'Ay', 'Az', 'Bx', 'By', 'Bz']
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
