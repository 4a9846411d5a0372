"""What two sides of a split must not share: speakers, utterances, segments, recordings; and what they may."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import is_nobody
from akd_toolkit.data.verdicts import Finding, Split, counted, some

# What cutting and changing add to a name: _seg3, -part02, _aug2, _noise, _sp0.9, and times such as _0.00_3.00.
SEGMENT = re.compile(
    r"(?:[-_.](?:(?:seg|segment|part|chunk|win|window|slice|clip|frame|cut|crop|piece|aug|augmented|copy|noise|noisy|"
    r"reverb|babble|pitch|tempo|stretch|denoised|enhanced)[-_.]?\d*|(?:sp|speed|x)?\d+\.\d+(?:[-_]\d+\.\d+)?))+$",
    re.IGNORECASE,
)
CHANGED = re.compile(r"^(?:(?:aug|augmented|noise|noisy|reverb|pitch|(?:sp|speed)\d+\.\d+)[-_])+", re.IGNORECASE)


def check_speakers(splits: Sequence[Split]) -> list[Finding]:
    """No speaker speaks on both sides; who is not named, or in two spellings, may be on both."""
    found = []
    for split in splits:
        theirs = {row.speaker for row in split.test if not is_nobody(row.speaker)}
        shared = sorted({row.speaker for row in split.train} & theirs)
        if shared:
            first = next(row.id for row in split.test if row.speaker == shared[0])
            who = f"all {len(shared)} speakers" if len(shared) == len(theirs) > 1 else counted(len(shared), "speaker")
            told = f"{who} of the {split.sides[1]} {'is' if len(shared) == 1 else 'are'} also in the {split.sides[0]}"
            told = f"{told}: {some(shared, 10)} (first: {first}); make groups of whole speakers."
            found.append(split.wrong("speakers", told))
    found += _nameless(splits) + _spelled_alike(splits)
    return found or [_nothing("speakers", splits, "no speaker is on both sides of {splits}{of_speakers}.")]


def _nameless(splits: Sequence[Split]) -> list[Finding]:
    """Utterances whose speaker is Unknown or the like, who may be anybody."""
    sides: dict[str, dict[Utterance, bool]] = {}
    for split in splits:
        for side, rows in zip(split.sides, (split.train, split.test)):
            sides.setdefault(side, {}).update((row, is_nobody(row.speaker)) for row in rows)
    rows = [row for side in sides.values() for row, nameless in side.items() if nameless]
    if not rows:
        return []
    told = ", ".join(
        f"{sum(side.values())} of {counted(len(side), 'utterance')} of the {name}"
        for name, side in sides.items()
        if any(side.values())
    )
    called = some(sorted({repr(row.speaker) for row in rows}))
    told = f"that no speaker is on both sides: {told} do not say who speaks ({called}, first: {rows[0].id})."
    return [Finding("not_proved", "speakers", told)]


def _spelled_alike(splits: Sequence[Split]) -> list[Finding]:
    """Speakers across a split whose names differ in capitals, blanks, zeros, invisible letters or the like alone."""
    pairs = {}
    for split in splits:
        train, test = (
            {row.speaker for row in rows if not is_nobody(row.speaker)} for rows in (split.train, split.test)
        )
        known = {_spelling(name): name for name in sorted(train)}
        for name in sorted(test):
            other = known.get(_spelling(name), name)
            if other != name:
                pairs.setdefault(tuple(sorted((name, other))), split)
    if not pairs:
        return []
    told = some((f"'{one}' and '{other}'" for one, other in pairs), 3)
    told = f"{counted(len(pairs), 'pair')} of names across a split may be one speaker's, {told}"
    return [Finding("not_proved", "speakers", f"that no speaker is on both sides: {told}; give each speaker one name.")]


def _spelling(name: str) -> str:
    """A name without what two spellings of it differ by.

    Example
    -------
    >>> _spelling("Speaker_03 "), _spelling("speaker-3"), _spelling("3.0"), _spelling("03 (EmoDB)"), _spelling("1-3")
    ('speaker3', 'speaker3', '3', '3', '1-3')
    """
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    plain = re.sub(r"\s*\(.*\)$|(?<=\d)\.0+$", "", seen.casefold().strip())
    plain = re.sub(r"(?<!\d)[\s_\-.]+|[\s_\-.]+(?!\d)", "", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def check_utterances(splits: Sequence[Split]) -> list[Finding]:
    """No utterance has a place on both sides."""
    found = []
    for split in splits:
        shared = sorted({row.id for row in split.train} & {row.id for row in split.test})
        if shared:
            told = f"{counted(len(shared), 'utterance')} of the {split.sides[1]} also in the {split.sides[0]}"
            found.append(split.wrong("utterances", f"{told}: {some(shared)}; leave each on one side."))
    return found or [_nothing("utterances", splits, "no utterance is on both sides of {splits}{of_rows}.")]


def check_segments(splits: Sequence[Split]) -> list[Finding]:
    """Pieces of one recording lie on one side: rows of the same file, and names that differ by a segment's suffix."""
    rows = {row for split in splits for row in (*split.train, *split.test)}
    source = _sources({row.id for row in rows})
    voices = Counter(name for name, _ in {(source[row.id], row.speaker) for row in rows})
    found = []
    for split in splits:
        for one, other in _meeting(split, lambda row: row.wav):
            if one.id == other.id:
                continue  # said by check_utterances
            together = overlap(one, other) > 0
            told = f"{split.pair(one, other)} {'overlap in' if together else 'are pieces of'} one recording, {one.wav}"
            told = f"{told}; split recordings first and cut them afterwards."
            found.append(split.wrong("segments", told, together or one.speaker == other.speaker))
        for one, other in _meeting(split, lambda row: source[row.id]):
            # What more than two speakers' names begin with, such as recording_part_1, is no name of an utterance.
            if one.id != other.id and voices[source[one.id]] <= 2:
                told = f"{split.pair(one, other)} look by their names like pieces or copies of one utterance"
                found.append(split.wrong("segments", f"{told}; listen to them.", leak=False))
    clear = "no two rows of one audio file, and no two pieces by name, lie across {splits}."
    return found or [_nothing("segments", splits, clear)]


def overlap(one: Utterance, other: Utterance) -> float:
    """Samples that two rows of the same file have in common; <= 0 for none. A row that tells no end is the whole file.

    Example
    -------
    >>> overlap(Utterance("a", "/x", 0, 1600, 0.1, "A", ""), Utterance("b", "/x", 800, 2400, 0.1, "B", ""))
    800
    """
    if (
        one.sha256
        and other.sha256
        and one.sha256 != other.sha256
        and (one.start, one.stop) == (other.start, other.stop)
    ):
        return 0  # their checksums say that they are two files under one name
    return min(one.stop or float("inf"), other.stop or float("inf")) - max(one.start, other.start)


def _sources(names: set[str]) -> dict[str, str]:
    """Each name without what cutting or changing its recording added, which may be any ending of a name that is there.

    Example
    -------
    >>> sorted(_sources({"a1", "a1_loud", "b2_noise", "sp0.9-b2", "c_3"}).items())
    [('a1', 'a1'), ('a1_loud', 'a1'), ('b2_noise', 'b2'), ('c_3', 'c_3'), ('sp0.9-b2', 'b2')]
    """
    ends = {name: re.split(r"[-_.][^-_./]*$", name)[0] for name in names}
    return {name: end if end in names else SEGMENT.sub("", CHANGED.sub("", name)) for name, end in ends.items()}


def check_identical(splits: Sequence[Split]) -> list[Finding]:
    """No two recordings across a split hold the same samples; what is twice on one side is noted."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}.values()
    without = sum(not row.sha256 for row in rows)
    found, crossing = [], set()
    for split in splits:
        for one, other in _meeting(split, lambda row: row.sha256):
            if one.id != other.id:
                crossing.add(one.sha256)
                told = f"{split.pair(one, other)} hold the same samples (SHA-256); drop one."
                found.append(split.wrong("identical", told))
    if not found and without < len(rows):
        found.append(_nothing("identical", splits, "no recording has an identical copy across {splits} (SHA-256)."))
    if without:
        sentence = f"that the sound of {counted(without, 'utterance')} is not there twice: no checksum is known."
        found.append(Finding("not_proved", "identical", sentence))
    return found + _twins_within(rows, crossing)


def check_sentences(splits: Sequence[Split]) -> list[Finding]:
    """How many sentences are said on both sides: no leak, but a model may know them."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}.values()
    if not any(row.text for row in rows):
        return [Finding("not_proved", "sentences", "that no sentence is said on both sides: no text is known.")]
    shared, worst = set(), 0.0
    for split in splits:
        texts = {row.text for row in split.train if row.text}
        both = texts & {row.text for row in split.test}
        shared |= both
        worst = max(worst, sum(row.text in both for row in split.test) / max(len(split.test), 1))
    if not shared:
        return [_nothing("sentences", splits, "no sentence is said on both sides of {splits}.")]
    of = counted(len({row.text for row in rows if row.text}), "sentence")
    told = f"{len(shared)} of {of} {'is' if len(shared) == 1 else 'are'} said in training and in test (up to "
    told = f"{told}{100 * worst:.0f} % of the utterances of a test): scores hold for known words."
    return [Finding("warning", "sentences", told)]


def _meeting(split: Split, key: Callable[[Utterance], str]) -> Iterable[tuple[Utterance, Utterance]]:
    """One pair (training, test) for each test utterance whose key, if it has one, is also in training."""
    known: dict[str, list[Utterance]] = {}
    for row in split.train:
        if key(row):
            known.setdefault(key(row), []).append(row)
    for row in split.test:
        others = known.get(key(row), [])
        if others:
            # The one that overlaps most, so that the worst of several is named.
            yield max(others, key=lambda other: overlap(other, row)), row


def _twins_within(rows: Iterable[Utterance], crossing: set[str]) -> list[Finding]:
    """Identical recordings that no split divides."""
    by_sound: dict[str, list[Utterance]] = {}
    for row in rows:
        if row.sha256 and row.sha256 not in crossing:
            by_sound.setdefault(row.sha256, []).append(row)
    pairs = [same for same in by_sound.values() if len(same) > 1]
    if not pairs:
        return []
    told = f"{counted(len(pairs), 'recording')} {'is' if len(pairs) == 1 else 'are'} there under several names"
    which = some(" and ".join(row.id for row in same) for same in pairs)
    return [Finding("warning", "identical", f"{told}, always on one side: {which}; counted twice in a score.")]


def _nothing(check: str, splits: Sequence[Split], sentence: str) -> Finding:
    rows = {row.id for split in splits for row in (*split.train, *split.test)}
    speakers = {row.speaker for split in splits for row in (*split.train, *split.test)}
    filled = sentence.format(
        splits=counted(len(splits), "split"),
        of_speakers=f" of {counted(len(speakers), 'speaker')}",
        of_rows=f" of {counted(len(rows), 'utterance')}",
    )
    return Finding("proved", check, filled)
