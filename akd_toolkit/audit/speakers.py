"""Who speaks, where a table or the names of files say so, and what is no speaker's name."""

import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.audit.names import SUFFIX
from akd_toolkit.audit.places import Placed
from akd_toolkit.audit.records import cell_of
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import are_partitions, is_nobody
from akd_toolkit.data.patterns import EMOTION_WORDS
from akd_toolkit.data.sheets import plain_name
from akd_toolkit.data.verdicts import some

# Where the names of well-known corpora hold the speaker; taken only where every name of a split fits.
SPEAKERS_IN_NAMES = {
    "EmoDB": r"(?:^|[^0-9A-Za-z])(\d\d)[ab]\d\d[WLEAFTN][a-z]?$",
    "RAVDESS": r"(?:^|[^0-9])0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d)$",
    "CREMA-D": r"(?:^|[^0-9])(10[0-9]\d)_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}$",
    "IEMOCAP": r"(?:^|[^0-9A-Za-z])(Ses0[1-5])[FM]_(?:impro|script)\w*_([FM])\d{3}$",
}
MIN_SPEAKERS = 10  # from so many on, a name for each utterance is no speaker's
CURE = "give --speaker COLUMN or --speaker-pattern REGEX"


def speakers_of(placed: Sequence[Placed], column: str | None, pattern: str | None) -> tuple[list[str], str]:
    """(each row's speaker, where that was read); where no row says, ("", ...) and "".

    Names of several corpora carry the corpus, ``03 (EmoDB)``, as nobody knows whether two corpora's 03 are one person.

    Arguments
    ---------
    column
        That holds the speaker; None tries the usual ones, and then the names of well-known corpora.
    pattern
        Regular expression; its groups, found in the ID or else in the path, are the speaker.

    Raises
    ------
    ValueError
        If the pattern is no regular expression, or is not found in a row, a row lacks the column, or it holds the
        names of partitions or emotions.
    """
    if pattern is not None:
        names, how = _by_pattern(placed, pattern), f"'{pattern}'"
    else:
        names, how = _by_column(placed, column), f"column '{column}'" if column else "a column"
        if not column and all(map(is_nobody, names)):
            names, how = _by_well_known_names(placed, names)
    known = {name for name in names if not is_nobody(name)}
    felt = [cell_of(item.record, "emotion") for item in placed]
    for what, wrong in (
        ("partitions", are_partitions(known)),
        ("emotions", len(known) > 1 and (names == felt or {*map(str.casefold, known)} <= {*EMOTION_WORDS.split()})),
    ):
        if wrong:
            raise ValueError(f"speakers from {how} are {some(sorted(known))}: names of {what}, not of people; {CURE}.")
    corpora = [cell_of(item.record, "corpus") for item in placed]
    if all(corpora) and len(set(corpora)) > 1 and not are_partitions(set(corpora)):
        names = [name if is_nobody(name) else f"{name} ({corpus})" for name, corpus in zip(names, corpora)]
    return names, how


def is_a_name_for_each(rows: Sequence[Utterance]) -> bool:
    """Whether every utterance has a speaker of its own, so that the names say nothing of who speaks."""
    pairs = {(row.speaker, row.id) for row in rows if not is_nobody(row.speaker)}
    alone = len({speaker for speaker, _ in pairs}) == len(pairs)
    return alone and (len(pairs) >= MIN_SPEAKERS or all(speaker == name for speaker, name in pairs))


def _by_pattern(placed: Sequence[Placed], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--speaker-pattern {pattern!r} is no regular expression: {error}.") from None
    names = [_named(item, compiled) for item in placed]
    if not all(names):
        row = placed[names.index("")].row
        raise ValueError(f"--speaker-pattern {pattern!r} is not found in {row.id} nor in its path '{row.wav}'.")
    return names


def _by_column(placed: Sequence[Placed], column: str | None) -> list[str]:
    for item in placed if column else ():
        if plain_name(column) not in item.record:
            raise ValueError(
                f"{item.file}, row {item.number} has no '{column}'; it has {', '.join(item.record)}. Give another "
                "--speaker."
            )
    return [cell_of(item.record, "speaker", column) for item in placed]


def _by_well_known_names(placed: Sequence[Placed], names: list[str]) -> tuple[list[str], str]:
    for corpus, known in SPEAKERS_IN_NAMES.items():
        found = [_named(item, re.compile(known)) for item in placed]
        if found and all(found):
            return found, f"names as in {corpus}"
    return names, "a column" if any(names) else ""


def _named(item: Placed, pattern: re.Pattern) -> str:
    name, path = (cell_of(item.record, kind).replace("\\", "/") for kind in ("id", "path"))
    own = "" if item.row.id == item.where else item.row.id
    texts = (own, SUFFIX.sub("", name), Path(name).stem, Path(path).stem, path)
    match = next((match for text in texts if (match := pattern.search(text))), None)
    return "" if match is None else "".join(part or "" for part in match.groups()) or match.group()
