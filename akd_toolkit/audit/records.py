"""The rows of split files, each with its partition and fold, and who speaks in it."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from akd_toolkit.audit.split_tables import COLUMNS, KALDI, SUFFIX, SUFFIXES, cell_of, read_records
from akd_toolkit.data.files import walk_files
from akd_toolkit.data.importers.patterns import EMOTION_WORDS
from akd_toolkit.data.importers.tables import plain_name
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import are_partitions, counted, is_unknown_speaker, place_of, some
from akd_toolkit.data.verdicts import Finding

# Where the names of well-known corpora hold the speaker; used only where every name of a split fits.
SPEAKERS_IN_NAMES = {
    "EmoDB": r"(?:^|[^0-9A-Za-z])(\d\d)[ab]\d\d[WLEAFTN][a-z]?$",
    "RAVDESS": r"(?:^|[^0-9])0[1-3]-0[12]-0[1-8]-0[12]-0[12]-0[12]-(\d\d)$",
    "CREMA-D": r"(?:^|[^0-9])(10[0-9]\d)_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}$",
    "IEMOCAP": r"(?:^|[^0-9A-Za-z])(Ses0[1-5])[FM]_(?:impro|script)\w*_([FM])\d{3}$",
}
MIN_SPEAKERS = 10  # from so many on, a name for each utterance is not a speaker's
CURE = "give --speaker COLUMN or --speaker-pattern REGEX"


class Placed(NamedTuple):
    """A row of a split file."""

    file: Path
    number: int  # of the row in the file, from 1
    scope: str  # folders of the file whose names are neither a partition nor a fold
    fold: str  # "" where there is none, as for partition
    partition: str
    row: Utterance
    record: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.file.name} row {self.number}"

    def of(self, **changes) -> "Placed":
        """The same with changes to the row."""
        return self._replace(row=replace(self.row, **changes))

    def cell(self, kind: str, column: str | None = None) -> str:
        return cell_of(self.record, kind, column)


def read_placed(paths: Sequence, column: str | None, named: Sequence[str]) -> tuple[list[Placed], list[Finding]]:
    """The rows of all files that have a place, and findings on those that have none.

    ``column`` holds the partition, ``named`` are columns that the user gave.
    """
    rows, left_out, found = [], [], []
    files, base = _files(paths)
    for file in files:
        records = enumerate(read_records(file, named), start=1)
        of_file = [_placed(file, base, number, record, column) for number, record in records]
        if any(item.fold or item.partition for item in of_file):
            rows += of_file
        else:
            left_out.append(file.name)
    beside = any(item.partition for item in rows)

    def is_placed(item: Placed) -> bool:
        """Where others are train and test, 2 is a fold, but ``extra`` is neither."""
        return bool(item.partition or (item.fold and not (beside and re.fullmatch(r"fold \D+", item.fold))))

    lost = [item for item in rows if not is_placed(item)]
    if left_out:
        sentence = f"that {some(left_out)} share nothing with other files: no row in them names a partition."
        found.append(Finding("not_proved", "files", sentence))
    if lost:
        what = some(sorted({repr(item.fold.removeprefix("fold ")) for item in lost}))
        sentence = f"that {counted(len(lost), 'row')} share nothing with other rows: {what} is not a partition (first: "
        found.append(Finding("not_proved", "files", f"{sentence}{lost[0].where})."))
    return [item for item in rows if is_placed(item)], found


def _files(paths: Sequence) -> tuple[list[Path], Path]:
    """Split files, and the folder that all paths have in common, whose own name is not a place."""
    if missing := [path for path in paths if not Path(path).exists()]:
        raise FileNotFoundError(f"{missing[0]} does not exist; give split files, their folder, or an experiment.")
    given = [Path(os.path.abspath(path)) for path in paths]  # a link's own name counts
    found: list[Path] = []
    for path in given:
        for file in walk_files(path) if path.is_dir() else [path]:
            kaldi = next((name for name in KALDI if (file.parent / name).is_file()), None)
            if file == path or file.suffix.lower() in SUFFIXES or file.name == kaldi:
                found.append(file)
    if not found:
        raise ValueError(f"{paths[0]} holds no {', '.join(SUFFIXES)} file; give split files, or an experiment.")
    base = os.path.commonpath([path if path.is_dir() and len(given) == 1 else path.parent for path in given])
    return list(dict.fromkeys(found)), Path(base)


def _placed(file: Path, base: Path, number: int, record: dict[str, str], column: str | None) -> Placed:
    if column and plain_name(column) not in record:
        raise ValueError(f"{file}, row {number} has no '{column}'; it has {', '.join(record) or 'nothing'}.")
    fold, partition = place_of(file, base)
    cell = cell_of(record, "partition", column)
    own_fold, own = place_in_cell(cell) if column or not partition else place_of(Path(cell or "-"))
    fold = own_fold or place_in_cell(cell_of(record, "fold"))[0] or fold
    partition = own or ("" if column else partition)
    wav = cell_of(record, "path")
    if (fold or partition) and not (wav or cell_of(record, "id") or cell_of(record, "speaker")):
        raise ValueError(
            f"{file}, row {number} has no ID; a column such as {', '.join(COLUMNS['id'][:4])} or wav is needed."
        )
    start, stop, duration = (_time(cell_of(record, kind)) for kind in ("start", "stop", "duration"))
    if cell_of(record, "start") and stop <= start:
        stop = start + duration if duration else 0
    text = cell_of(record, "text")
    text = "" if text == record.get("utterance") and " " not in text else text  # a name rather than a sentence
    folders = file.relative_to(base).parts[:-1]
    scope = "/".join(part for part in folders if not any(place_of(Path(part))))
    return Placed(file, number, scope, fold, partition, Utterance("", wav, start, stop, 0.0, "", "", text=text), record)


@lru_cache(4096)
def place_in_cell(cell: str) -> tuple[str, str]:
    """(fold, partition) of a cell, such as ``Train`` or ``fold1/test``; one that is neither, such as 3, is a fold."""
    place = place_of(Path(re.sub(r"[./]", " ", cell) or "-"))
    return place if any(place) or not cell else (f"fold {cell}", "")


def _time(cell: str) -> float:
    """A time in any unit, or as 00:01:02,5: only the order matters. 0 where there is none, NaN if unreadable."""
    cell = cell.replace(",", ".")
    if is_unknown_speaker(cell) or cell.casefold() == "nat":
        return 0
    try:
        return round(10000 * (pd.to_timedelta(cell).total_seconds() if ":" in cell else float(cell)))
    except (ValueError, OverflowError):
        return math.nan


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
            source = "a column" if any(names) else ""
            for corpus, known in SPEAKERS_IN_NAMES.items():
                if placed and all(inside := [_named(item, re.compile(known)) for item in placed]):
                    names, source = inside, f"names as in {corpus}"
                    break
    known = {name for name in names if not is_unknown_speaker(name)}
    emotions = [item.cell("emotion") for item in placed]
    emotional = names == emotions or {*map(str.casefold, known)} <= {*EMOTION_WORDS.split()}
    if (parts := are_partitions(known)) or (len(known) > 1 and emotional):
        what = "partitions" if parts else "emotions"
        raise ValueError(f"speakers from {source} are {some(sorted(known))}: names of {what}, not of people; {CURE}.")
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


def _named(item: Placed, pattern: re.Pattern) -> str:
    """The groups of the pattern in the row's ID, or else in its path."""
    name, path = (item.cell(kind).replace("\\", "/") for kind in ("id", "path"))
    own = "" if item.row.id == item.where else item.row.id
    texts = (own, SUFFIX.sub("", name), Path(name).stem, Path(path).stem, path)
    match = next((match for text in texts if (match := pattern.search(text))), None)
    return "" if match is None else "".join(part or "" for part in match.groups()) or match.group()
