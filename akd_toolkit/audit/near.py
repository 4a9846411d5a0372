"""Recordings across a split that sound the same, though their samples differ."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from akd_toolkit.audit.fingerprint import ALIKE, COPY, HOP, MIN_FRAMES, codes_of, similar_pairs
from akd_toolkit.audit.names import path_of
from akd_toolkit.audit.places import Placed
from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_recording
from akd_toolkit.data.files import walk_files
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.verdicts import Finding, Split, counted

HOP_S = HOP / SAMPLE_RATE_HZ
NOT_COMPARED = (
    "that no recording is a part of a longer one, or a copy at another speed or pitch: fingerprints compare whole "
    "recordings."
)


def check_near(splits: Sequence[Split], cache: Path | None = None, progress: bool = True) -> list[Finding]:
    """No recording across a split is a near copy of another, by fingerprints of the sound.

    Arguments
    ---------
    cache
        An .npz in which fingerprints are kept.
    """
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}
    codes, problems = codes_of(rows.values(), cache, progress)
    found = []
    if problems:
        of = f"{len(problems)} of {counted(len(rows), 'recording')}"
        sentence = f"that no recording has a near copy, for {of}: {problems[0]}"
        found.append(Finding("not_proved", "near copies", sentence))
    short = [name for name, code in codes.items() if code.loud.sum() < MIN_FRAMES]
    if short:
        of = f"{len(short)} of {counted(len(rows), 'recording')}, first {short[0]}"
        sentence = (
            f"that no recording has a near copy, for {of}: below {MIN_FRAMES * HOP_S:g} s of speech say too little."
        )
        found.append(Finding("not_proved", "near copies", sentence))
    codes = {name: code for name, code in codes.items() if code.loud.sum() >= MIN_FRAMES}
    if len(codes) < 2:
        return found
    names = list(codes)
    pairs = [
        (rows[names[i]], rows[names[j]], share) for i, j, share in similar_pairs(list(codes.values()), ALIKE, progress)
    ]
    pairs = [(a, b, share) for a, b, share in pairs if not a.sha256 or a.sha256 != b.sha256]  # said by check_identical
    crossing = [_crossing(split, pair) for pair in pairs for split in splits]
    across = [finding for finding in crossing if finding is not None]
    clear = f"no recording has a near copy across {counted(len(splits), 'split')} ({len(codes)} fingerprints compared)."
    found += across or [Finding("proved", "near copies", clear)]
    return [*found, *_within(splits, pairs), *_alike(pairs, splits), Finding("not_proved", "near copies", NOT_COMPARED)]


def _crossing(split: Split, pair: tuple[Utterance, Utterance, float]) -> Finding | None:
    one, other, share = pair
    if share < COPY or not _divides(split, one, other):
        return None
    if one.id not in split.ids[0]:
        one, other = other, one
    told = f"{split.pair(one, other)} are copies by their sound ({100 * share:.0f} % of the bits agree, two takes of "
    return split.wrong("near copies", f"{told}one actor reach 77 %); drop one.")


def _within(splits: Sequence[Split], pairs) -> list[Finding]:
    same = [pair for pair in pairs if pair[2] >= COPY and not any(_divides(split, *pair[:2]) for split in splits)]
    if not same:
        return []
    one, other, share = same[0]
    sentence = (
        f"{counted(len(same), 'pair')} of recordings {'is' if len(same) == 1 else 'are'} near copies, always on one "
        f"side; the nearest: {one.id} and {other.id} ({100 * share:.0f} %)."
    )
    return [Finding("warning", "near copies", sentence)]


def _alike(pairs, splits: Sequence[Split]) -> list[Finding]:
    """Pairs that different speakers' recordings never reach, but copies through a bad channel do."""
    alike = [
        pair
        for pair in pairs
        if pair[2] < COPY and pair[0].speaker != pair[1].speaker and any(_divides(s, *pair[:2]) for s in splits)
    ]
    if not alike:
        return []
    one, other, share = alike[0]
    sentence = (
        f"{counted(len(alike), 'pair')} across a split sound{'s' if len(alike) == 1 else ''} more alike than two "
        f"speakers do; listen to them, first {one.id} and {other.id} ({100 * share:.0f} % of the bits agree)."
    )
    return [Finding("warning", "near copies", sentence)]


def _divides(split: Split, one: Utterance, other: Utterance) -> bool:
    train, test = split.ids
    return (one.id in train and other.id in test) or (other.id in train and one.id in test)


def with_sound(placed: list[Placed], root: Path) -> tuple[list[Placed], list[Finding]]:
    """The rows with the checksums of their recordings, found under ``root`` by path or by name."""
    if not root.is_dir():
        raise FileNotFoundError(f"--audio {root} is not a folder; give the one that holds the recordings.")
    by_name = defaultdict(list)
    for path in walk_files(root):
        by_name[path_of(path.name)].append(path)
    sums: dict[Path, str] = {}
    read, missing = [], []
    for item in tqdm(placed, desc="checksums", unit="file"):
        row = item.row
        try:
            if row.stop:
                raise ValueError(f"{row.id} is a part of a file, and parts are not compared")
            path = _sound_of(row, root, by_name)
            if path not in sums:
                sums[path] = read_recording(path).sha256
            read.append(item.of(wav=str(path), sha256=sums[path]))
        except (OSError, ValueError) as error:
            missing.append(str(error))
            read.append(item)
    if not missing:
        return read, []
    told = f"the sound of {len(missing)} of {counted(len(placed), 'row')}: {missing[0].rstrip('.')}."
    return read, [Finding("not_proved", "files", told)]


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
