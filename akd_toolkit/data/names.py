"""Names of the parts of a split, names that mark an unknown speaker, and lists of names in sentences."""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

PARTITIONS = {
    "training": "train training trn tr trainval traindev",
    "validation": "valid validation val dev devel development",
    "test": "test testing tst eval evaluation holdout heldout",
}
_WORDS = {word + end: name for name, words in PARTITIONS.items() for word in words.split() for end in ("", "set")}
_FOLD = r"(fold|session|split|cv)[\W_]*(\d{1,9})"
PARTITION = re.compile(
    rf"({'|'.join(' '.join(PARTITIONS.values()).split())}|hold-out|fold|split|partition|subset)s?"
    r"([ _.-]?(set|data|split|fold|audio|wav|clean|other)s?)?[ _.-]?\d*",
    re.IGNORECASE,
)
NOBODY = re.compile(
    r"[\W_]*|-1|unknown.*|unk([\W_].*)?|((spkr?|speaker|actor)[ _.-]*)?(id|name|unk|unknown|undefined|unspecified|"
    r"unidentified|unnamed|anonymous|missing|n[/.]?a\.?|nan|none|null|tbd|not[ _-](known|available|named)|"
    r"no[ _-]?(one|body|name|speaker)|all|both|several|multiple|mixed|various|others?|everyone|everybody)?",
    re.IGNORECASE,
)


@lru_cache(4096)  # called for every row of a file
def place_of(path: Path, base: Path | None = None) -> tuple[str, str]:
    """(fold, partition) in the names of a file and of its folders below ``base``; "" for what they do not name.

    Example
    -------
    >>> place_of(Path("data/emodb/fold_1/emodb_test_fold_1.jsonl")), place_of(Path("train_test_split.csv"))
    (('fold 1', 'test'), ('', ''))
    >>> place_of(Path("Session5_dev.csv")), place_of(Path("TrainSet.csv")), place_of(Path("label_map.json"))
    (('session 5', 'validation'), ('', 'training'), ('', ''))
    """
    parts = (path.relative_to(base) if base else path).parts
    fold = partition = ""
    for part in reversed((*parts[:-1], Path(parts[-1]).stem)):  # the file's own name first
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part) + re.findall("[a-zA-Z]+", part)  # TrainSet, and TRAIN_set
        named = {_WORDS[word] for word in map(str.lower, words) if word in _WORDS}
        if {"training", "validation"} == named:  # train_valid.csv is trained on
            named = {"training"}
        partition = partition or (named.pop() if len(named) == 1 else "")
        numbered = re.search(_FOLD, part.lower())
        fold = fold or (f"{numbered[1]} {int(numbered[2])}" if numbered else "")
    return fold, partition


def are_partitions(names: Collection[str]) -> bool:
    """Whether at least half of the names are those of parts of a split, such as ``train`` or ``fold_2``."""
    return bool(names) and 2 * sum(PARTITION.fullmatch(name) is not None for name in names) >= len(names)


def is_unknown_speaker(name: str) -> bool:
    """Whether a speaker's name means an unknown speaker, or several: ``n/a``, ``<unk>``, ``All``."""
    return NOBODY.fullmatch(name.strip(" <>[](){}'\"")) is not None


def some(names: Iterable, shown: int = 5) -> str:
    """The first names and how many more: ``a, b and 2 more``."""
    names = list(map(str, names))
    listed = ", ".join(names[:shown])
    return f"{listed} and {len(names) - shown} more" if len(names) > shown else listed


def counted(number: int, what: str) -> str:
    """A number and its noun: ``1 fold``, ``5 folds``."""
    return f"{number} {what}" + ("" if number == 1 else "s")
