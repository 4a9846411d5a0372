"""Which partition and fold a file, a folder or a cell names, and the splits that follow."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from akd_toolkit.audit.findings import Split
from akd_toolkit.data.manifest import Utterance

PARTITIONS = {
    "training": "train training trn tr trainval traindev",
    "validation": "valid validation val dev devel development",
    "test": "test testing tst eval evaluation holdout heldout",
}
_WORDS = {word + end: name for name, words in PARTITIONS.items() for word in words.split() for end in ("", "set")}
NUMBERED = r"(fold|session|split|cv)[\W_]*(\d+)"


@dataclass(frozen=True)
class Placed:
    """A row, its number in its file, and its place: the fold ("" where there is none) and the partition.

    Arguments
    ---------
    scope
        Folders of the file whose names say neither partition nor fold.
    """

    file: Path
    number: int
    scope: str
    fold: str
    partition: str
    row: Utterance
    record: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.file.name} row {self.number}"


def place_of(path: Path, base: Path | None = None) -> tuple[str, str]:
    """(fold, partition) that the names of a file and of its folders below ``base`` say; "" for what they do not.

    Example
    -------
    >>> place_of(Path("data/emodb/fold_1/emodb_test_fold_1.jsonl"))
    ('fold 1', 'test')
    >>> place_of(Path("Session5_dev.csv")), place_of(Path("TrainSet.csv")), place_of(Path("label_map.json"))
    (('session 5', 'validation'), ('', 'training'), ('', ''))
    >>> place_of(Path("train_test_split.csv"))  # of both, so of neither
    ('', '')
    """
    parts = (path.relative_to(base) if base else path).parts
    fold = partition = ""
    for part in reversed((*parts[:-1], Path(parts[-1]).stem)):  # the file's own name first
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)
        named = {_WORDS[word] for word in map(str.lower, (*words, *re.findall("[a-zA-Z]+", part))) if word in _WORDS}
        if "test" not in named:
            named -= {"validation"} if "training" in named else set()  # train_valid.csv is heard in training
        partition = partition or (named.pop() if len(named) == 1 else "")
        numbered = re.search(NUMBERED, part.lower())
        fold = fold or (f"{numbered[1]} {int(numbered[2])}" if numbered else "")
    return fold, partition


def place_in_cell(cell: str) -> tuple[str, str]:
    """(fold, partition) of a cell; what names neither, such as a number, is a fold.

    Example
    -------
    >>> place_in_cell("Train"), place_in_cell("fold1/test"), place_in_cell("3")
    (('', 'training'), ('fold 1', 'test'), ('fold 3', ''))
    """
    place = place_of(Path(re.sub(r"[./]", " ", cell) or "-"))
    return place if any(place) or not cell else (f"fold {cell}", "")


def scope_of(file: Path, base: Path) -> str:
    """Folders of a file that name no place: ``emodb`` of ``emodb/fold_1/test.csv``."""
    return "/".join(part for part in file.relative_to(base).parts[:-1] if not any(place_of(Path(part))))


def splits_of(placed: Sequence[Placed]) -> list[Split]:
    """Every two partitions of a fold; where a fold names no partition, it is the test of all others like it.

    A partition that names no fold, beside others that do, belongs to all of them, as one test of five trainings. A
    folder of several partitions, such as one of two corpora, is a split of its own. What training and validation share
    is a warning: it spoils the choice, not the test.
    """
    scopes = scopes_of(placed)
    return [split for scope in scopes for split in _splits([i for i in placed if i.scope == scope], scope)] or _splits(
        placed, ""
    )


def scopes_of(placed: Sequence[Placed]) -> list[str]:
    """Folders that are a split each, because all of them hold several partitions; none where there is only one."""
    places: dict[str, set] = {}
    for item in placed:
        places.setdefault(item.scope, set()).add((item.fold, item.partition))
    return sorted(places) if len(places) > 1 and all(len(inside) > 1 for inside in places.values()) else []


def _splits(placed: Sequence[Placed], scope: str) -> list[Split]:
    named = sorted({item.fold for item in placed if item.partition})
    bare = [item for item in placed if not item.partition and item.fold not in named]
    found, folds = [], sorted({item.fold for item in bare})
    for fold in folds if len(folds) > 1 else ():
        sides = [[item.row for item in bare if (item.fold == fold) == there] for there in (False, True)]
        found.append(Split(f"{scope} {fold}".strip(), *map(tuple, sides)))
    if bare and named == [""]:  # folds of the training beside one test
        placed = [replace(item, fold="", partition=item.partition or "training") for item in placed]
    for fold in [fold for fold in named if fold] or named:
        rows = {name: [i.row for i in placed if i.partition == name and i.fold in (fold, "")] for name in PARTITIONS}
        for one, other in combinations([name for name in PARTITIONS if rows[name]], 2):
            sides = tuple(rows[one]), tuple(rows[other])
            found.append(Split(f"{scope} {fold}".strip(), *sides, sides=(one, other), strict=other == "test"))
    return found
