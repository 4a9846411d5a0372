"""Names that are not what they stand for: parts of a split among speakers, and nobody among people."""

import re
from collections.abc import Collection

PARTITION = re.compile(
    r"(train|training|trn|val|valid|validation|dev|devel|development|test|testing|tst|eval|evaluation|hold-?out|"
    r"fold|split|partition|subset)s?([ _.-]?(set|data|split|fold|audio|wav|clean|other)s?)?[ _.-]?\d*",
    re.IGNORECASE,
)
NOBODY = re.compile(
    r"[\W_]*|-1|unknown.*|unk([\W_].*)?|((spkr?|speaker|actor)[ _.-]*)?(id|name|unk|unknown|undefined|unspecified|"
    r"unidentified|unnamed|anonymous|missing|n[/.]?a\.?|nan|none|null|tbd|not[ _-](known|available|named)|"
    r"no[ _-]?(one|body|name|speaker)|all|both|several|multiple|mixed|various|others?|everyone|everybody)?",
    re.IGNORECASE,
)


def are_partitions(names: Collection[str]) -> bool:
    """Whether names are those of the parts of a split: at least half of them are.

    Example
    -------
    >>> are_partitions({"train", "Test1"}), are_partitions({"fold_1", "fold 2"}), are_partitions({"ana", "dev", "raj"})
    (True, True, False)
    """
    return bool(names) and 2 * sum(PARTITION.fullmatch(name) is not None for name in names) >= len(names)


def is_nobody(name: str) -> bool:
    """Whether a speaker's name says that nobody knows who speaks, or that it is not one person.

    Example
    -------
    >>> [is_nobody(name) for name in ("Unknown", "n/a", "", "<unk>", "speaker", "All")], is_nobody("08")
    ([True, True, True, True, True, True], False)
    """
    return NOBODY.fullmatch(name.strip(" <>[](){}'\"")) is not None
