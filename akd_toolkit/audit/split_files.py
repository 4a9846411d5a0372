"""The audit of split files made by others: what leaks, what does not, and what their tables cannot prove."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from akd_toolkit.audit.names import doubtful, name_rows
from akd_toolkit.audit.near import check_near, with_sound
from akd_toolkit.audit.places import Placed, read_placed
from akd_toolkit.audit.speakers import CURE, is_a_name_for_each, speakers_of
from akd_toolkit.data.names import PARTITIONS
from akd_toolkit.data.split_checks import (
    check_identical,
    check_segments,
    check_sentences,
    check_speakers,
    check_utterances,
)
from akd_toolkit.data.verdicts import Finding, Split, counted, some


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
    placed, found = read_placed(paths, partition, [name for name in (speaker, partition, *ids) if name])
    placed, unproved, unsure = name_rows(placed, ids)
    speakers, how = speakers_of(placed, speaker, pattern)
    placed = [item.of(speaker=who) for item, who in zip(placed, speakers)]
    if audio is not None:
        placed, unread = with_sound(placed, Path(audio))
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
    found += _utterances(splits, unproved, doubtful(splits, unsure)) + check_sentences(splits) + _sound(splits, audio)
    return _title(paths, placed, splits, how), found + _left_alone(placed, splits)


def _utterances(splits: list[Split], unproved: dict[str, str], pairs: list[tuple[str, str]]) -> list[Finding]:
    """What names show; a check that they do not prove is never proved."""
    told = f"{counted(len(pairs), 'pair')} of names in two folders may be of one recording"
    if pairs:
        unproved = {"utterances": f"{told} (first: {' and '.join(pairs[0])})", "segments": told} | unproved
    found = [
        finding
        for finding in (*check_utterances(splits), *check_segments(splits))
        if not (finding.verdict == "proved" and finding.check in unproved)
    ]
    what = {"utterances": "no utterance is on both sides", "segments": "no two rows are of one audio file"}
    for check, why in unproved.items():
        cure = (
            "give --id COLUMN or --id COLUMN,COLUMN, or --audio ROOT" if check == "utterances" else "give --audio ROOT"
        )
        found.append(Finding("not_proved", check, f"that {what[check]}: {why}; {cure}."))
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
        placed = [item._replace(fold="", partition=item.partition or "training") for item in placed]
    for fold in [fold for fold in named if fold] or named:
        rows = {name: [i.row for i in placed if i.partition == name and i.fold in (fold, "")] for name in PARTITIONS}
        for one, other in combinations([name for name in PARTITIONS if rows[name]], 2):
            sides = tuple(rows[one]), tuple(rows[other])
            found.append(Split(f"{scope} {fold}".strip(), *sides, sides=(one, other), strict=other == "test"))
    return found


def _sound(splits: list[Split], audio) -> list[Finding]:
    if audio is None:
        told = "that no recording is there twice under two names: give --audio ROOT to compare the sound."
        return [Finding("not_proved", "identical", told)]
    only = [
        replace(split, **{side: tuple(row for row in getattr(split, side) if row.sha256) for side in ("train", "test")})
        for split in splits
    ]
    return [*check_identical(only), *check_near(only)]
