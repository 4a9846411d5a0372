"""Who speaks in each row, by a column, a pattern, or the names of a known corpus."""

import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.audit.names import SUFFIX
from akd_toolkit.audit.records import Placed
from akd_toolkit.data.importers.patterns import EMOTION_WORDS
from akd_toolkit.data.importers.tables import plain_name
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import are_partitions, is_unknown_speaker
from akd_toolkit.data.verdicts import some

# Where the names of well-known corpora hold the speaker; used only where every name of a split fits.
SPEAKERS_IN_NAMES = {
    "EmoDB": r"(?:^|[^0-9A-Za-z])(\d\d)[ab]\d\d[WLEAFTN][a-z]?$",
    "RAVDESS": r"(?:^|[^0-9])0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d)$",
    "CREMA-D": r"(?:^|[^0-9])(10[0-9]\d)_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}$",
    "IEMOCAP": r"(?:^|[^0-9A-Za-z])(Ses0[1-5])[FM]_(?:impro|script)\w*_([FM])\d{3}$",
}
MIN_SPEAKERS = 10  # from so many on, a name for each utterance is not a speaker's
CURE = "give --speaker COLUMN or --speaker-pattern REGEX"


def speakers_of(placed: Sequence[Placed], column: str | None, pattern: str | None) -> tuple[list[str], str]:
    """(each row's speaker, where they are from); ("", ...) and "" where no row has one.

    Without a column or a pattern, the usual columns are tried and then the names of well-known corpora. Names of
    several corpora carry the corpus, ``03 (EmoDB)``, as 03 of another corpus may be another person. ValueError if the
    pattern or the column is not found in a row, or the names are those of partitions or emotions.
    """
    if pattern is not None:
        names, source = _by_pattern(placed, pattern), f"'{pattern}'"
    else:
        for item in placed if column else ():
            if plain_name(column) not in item.record:
                has = ", ".join(item.record)
                raise ValueError(f"--speaker: {item.file}, row {item.number} has no '{column}'; it has {has}.")
        names = [item.cell("speaker", column) for item in placed]
        source = f"column '{column}'" if column else "a column"
        if not column and all(map(is_unknown_speaker, names)):
            names, source = _by_known_corpus(placed, names)
    known = {name for name in names if not is_unknown_speaker(name)}
    emotions = [item.cell("emotion") for item in placed]
    for what, wrong in (
        ("partitions", are_partitions(known)),
        ("emotions", len(known) > 1 and (names == emotions or {*map(str.casefold, known)} <= {*EMOTION_WORDS.split()})),
    ):
        if wrong:
            raise ValueError(
                f"speakers from {source} are {some(sorted(known))}: names of {what}, not of people; {CURE}."
            )
    corpora = [item.cell("corpus") for item in placed]
    if all(corpora) and len(set(corpora)) > 1 and not are_partitions(set(corpora)):
        names = [name if is_unknown_speaker(name) else f"{name} ({corpus})" for name, corpus in zip(names, corpora)]
    return names, source


def is_a_name_for_each(rows: Sequence[Utterance]) -> bool:
    """Whether every utterance has a different speaker, so that the names cannot be speakers."""
    pairs = {(row.speaker, row.id) for row in rows if not is_unknown_speaker(row.speaker)}
    alone = len({speaker for speaker, _ in pairs}) == len(pairs)
    return alone and (len(pairs) >= MIN_SPEAKERS or all(speaker == name for speaker, name in pairs))


def _by_pattern(placed: Sequence[Placed], pattern: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--speaker-pattern {pattern!r} is not a regular expression: {error}.") from None
    names = [_named(item, compiled) for item in placed]
    if not all(names):
        row = placed[names.index("")].row
        raise ValueError(f"--speaker-pattern {pattern!r} is not found in {row.id} nor in its path '{row.wav}'.")
    return names


def _by_known_corpus(placed: Sequence[Placed], names: list[str]) -> tuple[list[str], str]:
    for corpus, known in SPEAKERS_IN_NAMES.items():
        found = [_named(item, re.compile(known)) for item in placed]
        if found and all(found):
            return found, f"names as in {corpus}"
    return names, "a column" if any(names) else ""


def _named(item: Placed, pattern: re.Pattern) -> str:
    """The groups of the pattern in the row's ID, or else in its path."""
    name, path = (item.cell(kind).replace("\\", "/") for kind in ("id", "path"))
    own = "" if item.row.id == item.where else item.row.id
    texts = (own, SUFFIX.sub("", name), Path(name).stem, Path(path).stem, path)
    match = next((match for text in texts if (match := pattern.search(text))), None)
    return "" if match is None else "".join(part or "" for part in match.groups()) or match.group()
