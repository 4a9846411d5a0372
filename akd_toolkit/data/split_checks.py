"""Checks of splits: whether speakers, utterances, pieces of a recording, its sound or sentences are on both sides."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import counted, is_unknown_speaker, some
from akd_toolkit.data.verdicts import Finding, Split

# What cutting and changing add to a name: _seg3, -part02, _aug2, _noise, _sp0.9, and times such as _0.00_3.00.
SEGMENT = re.compile(
    r"(?:[-_.](?:(?:seg|segment|part|chunk|win|window|slice|clip|frame|cut|crop|piece|aug|augmented|copy|noise|noisy|"
    r"reverb|babble|pitch|tempo|stretch|denoised|enhanced)[-_.]?\d*|(?:sp|speed|x)?\d+\.\d+(?:[-_]\d+\.\d+)?))+$",
    re.IGNORECASE,
)
CHANGED = re.compile(r"^(?:(?:aug|augmented|noise|noisy|reverb|pitch|(?:sp|speed)\d+\.\d+)[-_])+", re.IGNORECASE)


def check_splits(splits: Sequence[Split], known: bool = True) -> list[Finding]:
    """All that makes scores too optimistic; ``known`` says whether the corpus names its speakers."""
    checks = check_utterances, check_identical, check_segments
    return check_speakers(splits, known) + [finding for check in checks for finding in check(splits)]


def check_speakers(splits: Sequence[Split], known: bool = True) -> list[Finding]:
    """No speaker is on both sides; speakers without a name, or in two spellings, may be on both."""
    if not known:
        sentence = "that no speaker is on both sides: the corpus does not say who speaks (speaker_independent: false)"
        return [Finding("not_proved", "speakers", f"{sentence}, and scores may be of voices known from training.")]
    found = []
    for split in splits:
        tested = {row.speaker for row in split.test if not is_unknown_speaker(row.speaker)}
        shared = sorted({row.speaker for row in split.train} & tested)
        if shared:
            first = next(row.id for row in split.test if row.speaker == shared[0])
            who = f"all {len(shared)} speakers" if len(shared) == len(tested) > 1 else counted(len(shared), "speaker")
            who = f"{who} of the {split.sides[1]} {_are(shared)} also in the {split.sides[0]}: {some(shared, 10)}"
            found.append(split.wrong("speakers", f"{who} (first: {first}); make groups of whole speakers."))
    found += _nameless(splits) + _spelled_alike(splits)
    return found or [_proved("speakers", splits, "no speaker is on both sides of {splits} of {speakers}.")]


def _nameless(splits: Sequence[Split]) -> list[Finding]:
    """Utterances whose speaker is Unknown or the like."""
    rows = {row for split in splits for row in (*split.train, *split.test)}
    without = [row for row in rows if is_unknown_speaker(row.speaker)]
    if not without:
        return []
    names, first = some(sorted({repr(row.speaker) for row in without})), min(row.id for row in without)
    count = f"{len(without)} of {counted(len(rows), 'utterance')}"
    sentence = f"that no speaker is on both sides: {count} do not say who speaks ({names}, first: {first})."
    return [Finding("not_proved", "speakers", sentence)]


def _spelled_alike(splits: Sequence[Split]) -> list[Finding]:
    """Speakers across a split whose names differ only in capitals, blanks, zeros, invisible letters or the like."""
    pairs = {}
    for split in splits:
        train, test = (sorted({row.speaker for row in rows}) for rows in (split.train, split.test))
        known = {spelling(name): name for name in train if not is_unknown_speaker(name)}
        for name in test:
            other = known.get(spelling(name), name)
            if other != name and not is_unknown_speaker(name):
                pairs[tuple(sorted((name, other)))] = True
    if not pairs:
        return []
    named = some((f"'{one}' and '{other}'" for one, other in pairs), 3)
    sentence = f"{counted(len(pairs), 'pair')} of names across a split may be one speaker's, {named}"
    sentence = f"that no speaker is on both sides: {sentence}; give each speaker one name."
    return [Finding("not_proved", "speakers", sentence)]


def spelling(name: str) -> str:
    """A name without what two spellings of it differ by.

    Example
    -------
    >>> spelling("Speaker_03 "), spelling("speaker-3"), spelling("3.0"), spelling("03 (EmoDB)"), spelling("1-3")
    ('speaker3', 'speaker3', '3', '3', '1-3')
    """
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    plain = re.sub(r"\s*\(.*\)$|(?<=\d)\.0+$", "", seen.casefold().strip())
    plain = re.sub(r"(?<!\d)[\s_\-.]+|[\s_\-.]+(?!\d)", "", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def check_utterances(splits: Sequence[Split]) -> list[Finding]:
    """No utterance is on both sides."""
    found = []
    for split in splits:
        shared = sorted({row.id for row in split.train} & {row.id for row in split.test})
        if shared:
            sentence = f"{counted(len(shared), 'utterance')} of the {split.sides[1]} also in the {split.sides[0]}"
            found.append(split.wrong("utterances", f"{sentence}: {some(shared)}; leave each on one side."))
    return found or [_proved("utterances", splits, "no utterance is on both sides of {splits} of {utterances}.")]


def check_segments(splits: Sequence[Split]) -> list[Finding]:
    """Pieces of one recording are on one side: rows of the same file, and names that differ by a segment's suffix."""
    rows = {row for split in splits for row in (*split.train, *split.test)}
    source = _sources({row.id for row in rows})
    voices = Counter(name for name, _ in {(source[row.id], row.speaker) for row in rows})
    found = []
    for split in splits:
        for one, other in _meeting(split, lambda row: row.wav):
            together = overlap(one, other) > 0
            what = f"{'overlap in' if together else 'are pieces of'} one recording, {one.wav}"
            sentence = f"{split.pair(one, other)} {what}; split recordings first and cut them afterwards."
            found.append(split.wrong("segments", sentence, together or one.speaker == other.speaker))
        for one, other in _meeting(split, lambda row: source[row.id]):
            # The common beginning of more than two speakers' names, such as recording_part_1, is not an utterance.
            if voices[source[one.id]] <= 2:
                sentence = f"{split.pair(one, other)} look by their names like pieces or copies of one utterance"
                found.append(split.wrong("segments", f"{sentence}; listen to them.", leak=False))
    clear = "no two rows of one audio file, and no two pieces by name, lie across {splits}."
    return found or [_proved("segments", splits, clear)]


def overlap(one: Utterance, other: Utterance) -> float:
    """Samples that two rows of the same file share; <= 0 for none. A row without an end is the whole file."""
    same_part = (one.start, one.stop) == (other.start, other.stop)
    if same_part and one.sha256 and other.sha256 and one.sha256 != other.sha256:
        return 0  # two files under one name
    return min(one.stop or float("inf"), other.stop or float("inf")) - max(one.start, other.start)


def _sources(names: set[str]) -> dict[str, str]:
    """Each name without what cutting or changing its recording added, which may be any ending of another name.

    Such as ``b2`` for ``b2_noise`` and ``sp0.9-b2``, and ``a1`` for ``a1_loud`` where there is an ``a1``.
    """
    ends = {name: re.split(r"[-_.][^-_./]*$", name)[0] for name in names}
    return {name: end if end in names else SEGMENT.sub("", CHANGED.sub("", name)) for name, end in ends.items()}


def check_identical(splits: Sequence[Split]) -> list[Finding]:
    """No two recordings across a split hold the same samples; two on one side are a warning."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}.values()
    without = sum(not row.sha256 for row in rows)
    found, crossing = [], set()
    for split in splits:
        for one, other in _meeting(split, lambda row: row.sha256):
            crossing.add(one.sha256)
            sentence = f"{split.pair(one, other)} hold the same samples (SHA-256); drop one."
            found.append(split.wrong("identical", sentence))
    if not found and without < len(rows):
        found.append(_proved("identical", splits, "no recording has an identical copy across {splits} (SHA-256)."))
    if without:
        sentence = f"that the sound of {counted(without, 'utterance')} is not duplicated: no checksum is known."
        found.append(Finding("not_proved", "identical", sentence))
    by_sound = defaultdict(list)
    for row in rows:
        if row.sha256 and row.sha256 not in crossing:
            by_sound[row.sha256].append(row.id)
    if twins := [names for names in by_sound.values() if len(names) > 1]:
        which = some(" and ".join(names) for names in twins)
        sentence = f"{counted(len(twins), 'recording')} {_are(twins)} stored under several names, always on one side"
        found.append(Finding("warning", "identical", f"{sentence}: {which}; scores count them twice."))
    return found


def check_sentences(splits: Sequence[Split]) -> list[Finding]:
    """How many sentences are said on both sides: not a leak, but a model may know them."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}.values()
    every = {row.text for row in rows if row.text}
    if not every:
        return [Finding("not_proved", "sentences", "that no sentence is said on both sides: no text is known.")]
    shared, worst = set(), 0.0
    for split in splits:
        both = {row.text for row in split.train if row.text} & {row.text for row in split.test}
        shared |= both
        worst = max(worst, sum(row.text in both for row in split.test) / max(len(split.test), 1))
    if not shared:
        return [_proved("sentences", splits, "no sentence is said on both sides of {splits}.")]
    sentence = f"{len(shared)} of {counted(len(every), 'sentence')} {_are(shared)} said in training and in test (up to "
    sentence += f"{100 * worst:.0f} % of the utterances of a test): scores hold for known words."
    return [Finding("warning", "sentences", sentence)]


def _meeting(split: Split, key: Callable[[Utterance], str]) -> Iterable[tuple[Utterance, Utterance]]:
    """A pair (training, test) for each test utterance whose key, if it has one, another one in training has too."""
    known = defaultdict(list)
    for row in split.train:
        known[key(row)].append(row)
    for row in split.test:
        others = known.get(key(row), []) if key(row) else []
        if others:
            worst = max(others, key=lambda other: overlap(other, row))
            if worst.id != row.id:  # check_utterances reports it
                yield worst, row


def _proved(check: str, splits: Sequence[Split], sentence: str) -> Finding:
    rows = [row for split in splits for row in (*split.train, *split.test)]
    counts = {
        "splits": counted(len(splits), "split"),
        "speakers": counted(len({row.speaker for row in rows}), "speaker"),
        "utterances": counted(len({row.id for row in rows}), "utterance"),
    }
    return Finding("proved", check, sentence.format(**counts))


def _are(things) -> str:
    return "is" if len(things) == 1 else "are"
