"""The audit of split files that the toolkit did not write."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from akd_toolkit.audit.records import CURE, Placed, is_a_name_for_each, read_placed, speakers_of
from akd_toolkit.audit.utterance_ids import doubtful, name_rows, path_of
from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.files import walk_files
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import PARTITIONS, counted, some
from akd_toolkit.data.split_checks import (
    check_identical,
    check_segments,
    check_sentences,
    check_speakers,
    check_utterances,
)
from akd_toolkit.data.verdicts import Finding, Split
from akd_toolkit.progress import tqdm


def audit_split_files(
    paths: Sequence,
    speaker: str | None = None,
    pattern: str | None = None,
    partition: str | None = None,
    audio=None,
    ids: Sequence[str] = (),
) -> tuple[str, list[Finding]]:
    """(title, findings) of split files; the arguments are the options of ``akd audit``.

    FileNotFoundError if a path does not exist; ValueError if no split is found, a file cannot be read, a column or the
    pattern is in none of its rows, or the names of speakers are those of partitions or emotions.
    """
    if speaker and partition and speaker.lower() == partition.lower():
        raise ValueError(f"--speaker and --partition are both '{speaker}'; a partition is not a speaker. {CURE}.")
    placed, found = read_placed(paths, partition, [name for name in (speaker, partition, *ids) if name])
    placed, unproved = name_rows(placed, ids)
    speakers, source = speakers_of(placed, speaker, pattern)
    placed = [item.of(speaker=who) for item, who in zip(placed, speakers)]
    if audio is not None:
        placed, unread = with_checksums(placed, Path(audio))
        found += unread
    splits = splits_of(placed)
    if not splits:
        raise ValueError(
            f"{some(dict.fromkeys(item.file.name for item in placed)) or paths[0]}: no two partitions of one fold are "
            "named; call the files or folders train, valid and test, or give --partition COLUMN."
        )
    rows = [row for split in splits for row in (*split.train, *split.test)]
    unknown = "" if source else "no row names one"
    if source and is_a_name_for_each(rows):
        each = f"each of {counted(len({row.id for row in rows}), 'utterance')} has a speaker of its own"
        unknown = f"{each} ({rows[0].speaker}, ...), so {source} may not name people"
    if unknown:
        found.append(Finding("not_proved", "speakers", f"that no speaker is on both sides: {unknown}; {CURE}."))
    else:
        found += check_speakers(splits)
    found += _check_names(splits, unproved) + check_sentences(splits)
    found += _check_sound(splits, audio) + _not_compared(placed, splits)
    title = f"{counted(len(splits), 'split')} in {counted(len({item.file for item in placed}), 'file')}"
    return f"{some(map(str, paths))}: {title}{f', speakers from {source}' if source else ''}", found


def _check_names(splits: list[Split], unproved: dict[str, str]) -> list[Finding]:
    """Utterances and segments by name; a check whose names are in doubt is not proved."""
    if pairs := doubtful(splits):
        why = f"{counted(len(pairs), 'pair')} of names in two folders may be of one recording"
        unproved = {"utterances": f"{why} (first: {' and '.join(pairs[0])})", "segments": why} | unproved
    found = check_utterances(splits) + check_segments(splits)
    found = [one for one in found if one.verdict != "proved" or one.check not in unproved]
    that = {
        "utterances": ("no utterance is on both sides", "give --id COLUMN or --id COLUMN,COLUMN, or --audio ROOT"),
        "segments": ("no two rows are of one audio file", "give --audio ROOT"),
    }
    for check, why in unproved.items():
        what, cure = that[check]
        found.append(Finding("not_proved", check, f"that {what}: {why}; {cure}."))
    return found


def _check_sound(splits: list[Split], audio) -> list[Finding]:
    if audio is None:
        sentence = "that no recording has two names: give --audio ROOT to compare the sound."
        return [Finding("not_proved", "identical", sentence)]
    from akd_toolkit.audit.near import check_near

    read = [
        replace(split, **{side: tuple(row for row in getattr(split, side) if row.sha256) for side in ("train", "test")})
        for split in splits
    ]
    return [*check_identical(read), *check_near(read)]


def _not_compared(placed: list[Placed], splits: list[Split]) -> list[Finding]:
    found, compared = [], {row for split in splits for row in (*split.train, *split.test)}
    if alone := sorted({item.fold for item in placed if item.row not in compared}):
        sentence = f"{some(alone)}: only one partition was found, so there is nothing to compare."
        found.append(Finding("warning", "files", sentence))
    if scopes := scopes_of(placed):
        sentence = f"that {some(scopes)} share nothing: each folder holds a whole split and was checked separately."
        found.append(Finding("not_proved", "files", sentence))
    return found


def splits_of(placed: Sequence[Placed]) -> list[Split]:
    """Every two partitions of a fold; folds without partitions are each the test of all others.

    A partition without a fold, beside others that have one, belongs to every fold. A folder of several partitions, such
    as one of two corpora, is a split of its own. What training and validation share is only a warning: it affects the
    choice of a model, not the test.
    """
    by_scope = [_splits([item for item in placed if item.scope == scope], scope) for scope in scopes_of(placed)]
    return [split for splits in by_scope for split in splits] or _splits(placed, "")


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


def with_checksums(placed: list[Placed], root: Path) -> tuple[list[Placed], list[Finding]]:
    """The rows with the checksums of their recordings, found under ``root`` by path or by name."""
    if not root.is_dir():
        raise FileNotFoundError(f"--audio {root} is not a folder; give the one that holds the recordings.")
    by_name = defaultdict(list)
    for path in walk_files(root):
        by_name[path_of(path.name)].append(path)
    sums: dict[Path, str] = {}
    read, missing = [], []
    for item in tqdm(placed, desc="checksums", unit="file"):
        try:
            path = _recording_of(item.row, root, by_name)
            if path not in sums:
                sums[path] = read_recording(path).sha256
            read.append(item.of(wav=str(path), sha256=sums[path]))
        except (OSError, ValueError) as error:
            missing.append(str(error).rstrip("."))
            read.append(item)
    if not missing:
        return read, []
    sentence = f"the sound of {len(missing)} of {counted(len(placed), 'row')}: {missing[0]}."
    return read, [Finding("not_proved", "files", sentence)]


def _recording_of(row: Utterance, root: Path, by_name: dict[tuple, list[Path]]) -> Path:
    if row.stop:
        raise ValueError(f"{row.id} is a part of a file, and parts are not compared")
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
