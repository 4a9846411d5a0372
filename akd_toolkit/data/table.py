"""The preparer of a corpus that the toolkit does not know: read by the names of its files, or from a table."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from akd_toolkit.data.audio import Recording, read_recording
from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.preparing import count_differences, measure, prepare_once, refuse_or_warn
from akd_toolkit.data.source import Source, find_utterances

WHOLE = (math.nan, math.nan)


def prepare_table(
    data_folder,
    save_folder,
    label_order: Sequence[str],
    corpus: str,
    source: Source,
    counts: Mapping[str, int] | None = None,
    expect_official: bool = True,
    at_most: int | None = None,
) -> Manifest:
    """The manifest of a corpus that ``source`` describes, written to ``save_folder``.

    Arguments
    ---------
    label_order
        Every label once, in the order of the logits.
    counts
        Label -> utterances that are expected; None expects nothing.
    expect_official
        Refuse a folder whose counts are others; False logs what differs.
    at_most
        Keep only the first so many utterances of each speaker and class, for a trial; None keeps all. Counts are then
        not looked at.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or table.
    ValueError
        If names, lines of the table, files or counts are wrong.
    """
    folder = Path(data_folder)
    if at_most is not None and (not isinstance(at_most, int) or at_most < 1):
        raise ValueError(f"at_most must be a count from 1, or null for all, got {at_most}.")
    rows, parts = find_utterances(folder, source)
    if at_most is None and counts is not None:
        found, expected = [row.emotion for row in rows], list(Counter(counts).elements())
        compared = f"{folder} differs from the {corpus} that this recipe was made for ({len(expected)} utterances)"
        refuse_or_warn(count_differences(found, expected, "class"), compared, expect_official)
    else:
        rows = _first(rows, at_most)
    arguments = {
        **{"preparer": "table", "data_folder": str(folder.resolve()), "label_order": list(label_order)},
        **{"corpus": corpus, "source": asdict(source), "at_most": at_most, "contents": _digest(rows, parts)},
    }
    files = [Path(wav) for wav in dict.fromkeys(row.wav for row in rows)]

    def build() -> Manifest:
        measured = measure_utterances(rows, parts, corpus)
        return Manifest(corpus, tuple(label_order), tuple(measured), speakers_known=source.speakers)

    return prepare_once(save_folder, arguments, files, build)


def measure_utterances(
    rows: Sequence[Utterance],
    parts: Mapping[str, tuple[float, float]],
    corpus: str,
    look: Callable[[Utterance, Recording], None] | None = None,
) -> list[Utterance]:
    """Read every file, or the part of it that is meant, and fill in start, stop, duration and checksum.

    Raises
    ------
    ValueError
        If files are bad or parts lie outside; all of them are named at once.
    """
    if not parts:
        return measure(rows, corpus, look=look)
    measured, problems = [], []
    for row in tqdm(rows, desc=f"measuring {corpus}", unit="utterance"):
        try:
            rate = read_recording(row.wav, 0, 1).sample_rate_hz
            start, stop = (None if math.isnan(s) else round(s * rate) for s in parts.get(row.id, WHOLE))
            recording = read_recording(row.wav, start or 0, stop)
            recording.waveform()  # refuses what is too short or silent
        except (OSError, ValueError) as error:
            problems.append(f"{row.id}: {error}")
            continue
        if look is not None:
            look(row, recording)
        span = {"start": start or 0, "stop": (start or 0) + len(recording.samples)}
        measured.append(replace(row, **span, duration=recording.duration_s, sha256=recording.sha256))
    hint = "where start and stop are times in a longer recording, leave them out with --columns start=- stop=-"
    raise_problems(problems, f"{len(problems)} of {len(rows)} utterances of {corpus} ({hint})")
    return measured


def _digest(rows: Sequence[Utterance], parts: Mapping[str, tuple[float, float]]) -> str:
    """Of all that names or table say, so that a folder with another name makes a new manifest."""
    known = [(row.id, row.speaker, row.emotion, row.sex, row.text, row.attributes, parts.get(row.id)) for row in rows]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]


def _first(rows: list[Utterance], at_most: int | None) -> list[Utterance]:
    seen: Counter = Counter()
    kept = []
    for row in rows:
        seen[row.speaker, row.emotion] += 1
        if at_most is None or seen[row.speaker, row.emotion] <= at_most:
            kept.append(row)
    return kept
