"""The audit of split files made by others: what leaks, what does not, and what their tables cannot prove."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from akd_toolkit.audit.findings import Finding, Split, counted, some
from akd_toolkit.audit.names import doubtful, name_rows, path_of
from akd_toolkit.audit.near import check_near
from akd_toolkit.audit.places import Placed, place_in_cell, place_of, scope_of, scopes_of, splits_of
from akd_toolkit.audit.records import (
    ID_COLUMNS,
    KALDI,
    PARTITION_COLUMNS,
    SPEAKER_COLUMNS,
    START_COLUMNS,
    STOP_COLUMNS,
    SUFFIXES,
    TEXT_COLUMNS,
    WAV_COLUMNS,
    first_of,
    read_records,
)
from akd_toolkit.audit.speakers import CURE, is_a_name_for_each, speakers_of
from akd_toolkit.audit.splits import (
    check_identical,
    check_segments,
    check_sentences,
    check_speakers,
    check_utterances,
)
from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.files import walk_files
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import is_nobody


def audit_split_files(
    paths: Sequence,
    speaker: str | None = None,
    pattern: str | None = None,
    partition: str | None = None,
    audio=None,
    ids: Sequence[str] = (),
) -> tuple[str, list[Finding]]:
    """(title, findings) of split files.

    Partition and fold come from a column, or from the names of file and folders: ``fold_1/emodb_test_fold_1.jsonl``.
    Files that only name folds are taken for leave-one-fold-out. What names neither is left out, and counted.

    Arguments
    ---------
    paths
        Files (.csv, .tsv, .json, .jsonl, .txt, Kaldi's utt2spk) or folders of such.
    speaker
        Column that names the speaker; None tries the usual ones, and then the names of well-known corpora.
    pattern
        Regular expression; its groups, found in the ID or else in the path, are the speaker.
    partition
        Column that names the partition or the fold.
    audio
        Folder in which recordings are looked for, to compare their sound; None compares names alone.
    ids
        Columns that together name the utterance; none tries the usual ones, and then the path.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If no split is found, a file cannot be read, a column or the pattern is in none of its rows, or what is to
        name speakers names partitions or emotions.
    """
    if speaker and partition and speaker.lower() == partition.lower():
        raise ValueError(f"--speaker and --partition are both '{speaker}'; a partition is no speaker. {CURE}.")
    placed, found = _read(paths, partition, [name for name in (speaker, *ids) if name])
    placed, unnamed, unsure = name_rows(placed, ids)
    speakers, how = speakers_of(placed, speaker, pattern)
    placed = [replace(item, row=replace(item.row, speaker=who)) for item, who in zip(placed, speakers)]
    if audio is not None:
        placed, unread = _with_sound(placed, Path(audio))
        found += unread
    splits = splits_of(placed)
    if not splits:
        raise ValueError(
            f"{some(dict.fromkeys(item.file.name for item in placed)) or paths[0]}: no two partitions of one fold are "
            "named; call the files or folders train, valid and test, or give --partition COLUMN."
        )
    rows = [row for split in splits for row in (*split.train, *split.test)]
    if not how:
        told = f"that no speaker is on both sides: no row names one; {CURE}."
        found.append(Finding("not_proved", "speakers", told))
    elif is_a_name_for_each(rows):
        told = (
            f"each of {counted(len({row.id for row in rows}), 'utterance')} has a speaker of its own ({rows[0].speaker}"
        )
        told = f"that no speaker is on both sides: {told}, ...), so {how} may not name who speaks; {CURE}."
        found.append(Finding("not_proved", "speakers", told))
    else:
        found += check_speakers(splits)
    found += _utterances(splits, unnamed, unsure) + check_sentences(splits) + _sound(splits, audio)
    return _title(paths, placed, splits, how), found + _left_alone(placed, splits)


def _utterances(splits: list[Split], unnamed: str, unsure: dict[str, str]) -> list[Finding]:
    if unnamed:
        told = f"that no utterance is on both sides: {unnamed}; give --id COLUMN (or COLUMN,COLUMN), or --audio ROOT."
        found = [Finding("not_proved", "utterances", told)]
        pieces = check_segments(splits) if any(row.wav for split in splits for row in split.test) else []
        return found + pieces
    found = check_utterances(splits) + check_segments(splits)
    pairs = doubtful(splits, unsure)
    if pairs:
        told = (
            f"that no utterance is on both sides: {counted(len(pairs), 'pair')} of names in two folders may be of one "
            f"recording (first: {' and '.join(pairs[0])}); give --audio ROOT or --id COLUMN."
        )
        found = [finding for finding in found if finding.verdict != "proved"]
        found.append(Finding("not_proved", "utterances", told))
    return found


def _left_alone(placed: list[Placed], splits: list[Split]) -> list[Finding]:
    """What was compared with nothing."""
    found, compared = [], {row for split in splits for row in (*split.train, *split.test)}
    alone = sorted({item.fold for item in placed if item.row not in compared})
    if alone:
        told = f"{some(alone)}: only one partition is there, and nothing to compare it with."
        found.append(Finding("warning", "files", told))
    scopes = scopes_of(placed)
    if scopes:
        told = f"that {some(scopes)} share nothing: each folder holds a whole split, and was compared by itself."
        found.append(Finding("not_proved", "files", told))
    return found


def _title(paths: Sequence, placed: list[Placed], splits: list[Split], how: str) -> str:
    files = len({item.file for item in placed})
    told = f"{counted(len(splits), 'split')} in {counted(files, 'file')}" + (f", speakers from {how}" if how else "")
    return f"{some(map(str, paths))}: {told}"


def _read(paths: Sequence, column: str | None, named: Sequence[str]) -> tuple[list[Placed], list[Finding]]:
    """The rows of all files that name a place, and what is to say of the others."""
    files, placed, found, left_out, empty = _files(paths), [], [], [], []
    if not files:
        raise ValueError(
            f"{paths[0]} holds no {', '.join(SUFFIXES)} file; give split files, or the folder of an experiment."
        )
    for file, base in files:
        records = read_records(file, named)
        titles = [
            record for record in records if record and all(name == cell.casefold() for name, cell in record.items())
        ]
        if titles:
            records = [record for record in records if record not in titles]
            told = f"{file.name} repeats the names of its columns in {counted(len(titles), 'row')}, left out here."
            found.append(Finding("warning", "files", told))
        of_file = [_placed(file, base, number, record, column) for number, record in enumerate(records, start=1)]
        placed += of_file
        named_by = Path(file.name) if file.suffix.lower() in (".txt", ".lst") else file.relative_to(base)
        if not records and any(place_of(named_by)):
            empty.append(file.name)
        elif not any(item.fold or item.partition for item in of_file):
            left_out.append(file.name)
    if left_out:
        told = f"{counted(len(left_out), 'file')} without rows that name a partition left out: {some(left_out)}."
        found.append(Finding("warning", "files", told))
    if empty:
        told = f"that {some(empty)} share nothing with others: no row was found in {counted(len(empty), 'file')}."
        found.append(Finding("not_proved", "files", told))
    beside = any(item.partition for item in placed)
    kept = [item for item in placed if _is_placed(item, beside)]
    lost = [item for item in placed if not _is_placed(item, beside) and item.file.name not in left_out]
    if lost:
        what = some(sorted({repr(item.fold.removeprefix("fold ")) for item in lost}))
        told = (
            f"that {counted(len(lost), 'row')} share nothing with others: {what} names no partition ({lost[0].where})."
        )
        found.append(Finding("not_proved", "files", told))
    return kept, found


def _is_placed(item: Placed, beside_partitions: bool) -> bool:
    """Whether a row's place is known: beside train and test, 2 is a fold, and ``extra`` is nothing."""
    return bool(item.partition or (item.fold and not (beside_partitions and re.fullmatch(r"fold \D+", item.fold))))


def _files(paths: Sequence) -> list[tuple[Path, Path]]:
    """Split files, each with the folder whose name, and all above it, say nothing: what was asked for has in common."""
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing:
        raise FileNotFoundError(
            f"there is no {missing[0]}; give split files, their folder, or the folder of an experiment."
        )
    given = [Path(os.path.abspath(path)) for path in paths]  # a link's own name counts
    base = Path(os.path.commonpath([path if path.is_dir() and len(given) == 1 else path.parent for path in given]))
    found: dict[Path, Path] = {}
    for path in given:
        for file in walk_files(path) if path.is_dir() else [path]:
            if file == path or file.suffix.lower() in SUFFIXES or _is_kaldi(file):
                found.setdefault(file, base)
    return list(found.items())


def _is_kaldi(file: Path) -> bool:
    return file.name in KALDI and file.name == next(name for name in KALDI if (file.parent / name).is_file())


def _placed(file: Path, base: Path, number: int, record: dict[str, str], column: str | None) -> Placed:
    if column and column.lower() not in record:
        raise ValueError(f"{file}, row {number} has no '{column}'; it has {', '.join(record) or 'nothing'}.")
    fold, partition = place_of(file, base)
    told = first_of(record, (column,) if column else PARTITION_COLUMNS)
    if column:
        partition = ""
    own_fold, own = place_in_cell(told) if not partition else place_of(Path(told or "-"))
    own_fold = own_fold or place_in_cell(first_of(record, ("fold",)))[0]
    wav, text = first_of(record, WAV_COLUMNS), first_of(record, TEXT_COLUMNS)
    if (own or partition or own_fold or fold) and not (wav or first_of(record, ID_COLUMNS + SPEAKER_COLUMNS)):
        raise ValueError(
            f"{file}, row {number} has no ID; a column such as {', '.join(ID_COLUMNS[:4])} or wav is needed."
        )
    start, stop = (_count(first_of(record, names)) for names in (START_COLUMNS, STOP_COLUMNS))
    row = Utterance("", wav, start, stop, 0.0, "", "", text=text)
    return Placed(file, number, scope_of(file, base), own_fold or fold, own or partition, row, record)


def _count(cell: str) -> float:
    """A time in whatever unit, or as 00:01:02,5: only the order matters here. 0 where there is none, NaN if unread."""
    cell = cell.replace(",", ".")
    if is_nobody(cell) or cell.casefold() == "nat":
        return 0
    try:
        return round(10000 * (pd.to_timedelta(cell).total_seconds() if ":" in cell else float(cell)))
    except ValueError:
        return math.nan


def _with_sound(placed: list[Placed], root: Path) -> tuple[list[Placed], list[Finding]]:
    """The rows with the checksums of their recordings, found under ``root`` by path or by name."""
    if not root.is_dir():
        raise FileNotFoundError(f"--audio {root} is not a folder; give the one that holds the recordings.")
    by_name = defaultdict(list)
    for path in walk_files(root):
        by_name[path_of(path.name)].append(path)
    sums: dict[Path, str] = {}
    heard, missing = [], []
    for item in tqdm(placed, desc="checksums", unit="file"):
        row = item.row
        try:
            if row.stop:
                raise ValueError(f"{row.id} is a part of a file, and parts are not compared")
            path = _sound_of(row, root, by_name)
            if path not in sums:
                sums[path] = read_recording(path).sha256
            heard.append(replace(item, row=replace(row, wav=str(path), sha256=sums[path])))
        except (OSError, ValueError) as error:
            missing.append(str(error))
            heard.append(item)
    if not missing:
        return heard, []
    told = f"the sound of {len(missing)} of {counted(len(placed), 'row')}: {missing[0].rstrip('.')}."
    return heard, [Finding("not_proved", "files", told)]


def _sound_of(row: Utterance, root: Path, by_name: dict[tuple, list[Path]]) -> Path:
    if row.wav and (root / row.wav).is_file():
        return root / row.wav
    for name in filter(None, map(path_of, (row.wav, row.id))):
        found = by_name.get(name[-1:], [])
        found = [path for path in found if path_of(str(path))[-len(name) :] == name] or found
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{row.id} may be any of {len(found)} files under {root}, such as {found[0]}")
    raise ValueError(f"{row.id} is not under {root}")


def _sound(splits: list[Split], audio) -> list[Finding]:
    if audio is None:
        told = "that no recording is there twice under two names: give --audio ROOT to compare the sound."
        return [Finding("not_proved", "identical", told)]
    only = [
        replace(split, **{side: tuple(row for row in getattr(split, side) if row.sha256) for side in ("train", "test")})
        for split in splits
    ]
    return [*check_identical(only), *check_near(only)]
