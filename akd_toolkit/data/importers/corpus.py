"""The preparer of a corpus that the toolkit does not know."""

import hashlib
import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unicodedata import normalize

from akd_toolkit.data.files import AUDIO_SUFFIXES, walk_files
from akd_toolkit.data.importers.patterns import compile_pattern, list_recordings, match_names
from akd_toolkit.data.importers.tables import table_rows
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.names import are_partitions, is_unknown_speaker, some
from akd_toolkit.data.preparing import count_differences, measure, prepare_once, refuse_or_warn

logger = logging.getLogger(__name__)

SEXES = {**dict.fromkeys(("f", "w", "woman", "female"), "female"), **dict.fromkeys(("m", "man", "male"), "male")}
LEFT_OUT = "-"  # the label of codes that are left out


@dataclass(frozen=True)
class Source:
    """Where a corpus says who speaks, and with which emotion: in file names (``pattern``) or in a table (``table``).

    ValueError if there are both pattern and table or none, or the pattern is invalid or lacks a field.
    """

    pattern: str = ""  # see ``compile_pattern``
    table: str = ""  # path of a CSV or TSV file, absolute or from the data folder; with a ``*``, several of that folder
    # Kind -> column of the table: path, speaker and emotion, and optionally id, sex, text, start, stop, duration and
    # attributes such as valence. A column may be composed, ``dia{Dialogue_ID}_utt{Utterance_ID}``.
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)  # code -> label; ``-`` leaves a code out, others stay
    speakers: bool = True  # if unknown, every utterance counts as a speaker, and every table is marked

    def __post_init__(self):
        where = self.pattern or self.table
        if bool(self.pattern) == bool(self.table):
            raise ValueError("a corpus is read either by a pattern of names or from a table; give one of the two.")
        fields = compile_pattern(self.pattern).groupindex if self.pattern else self.columns
        if self.speakers and "speaker" not in fields:
            raise ValueError(
                f"{where} does not say who speaks. Put {{speaker}} into a pattern, or name a column; --no-speakers "
                "continues without, and marks every table as not speaker-independent."
            )
        if not self.speakers and "speaker" in fields:
            raise ValueError(f"{where} says who speaks; omit --no-speakers, or write * instead of {{speaker}}.")


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

    ``label_order`` has every label once, in the order of the logits. ``counts`` maps a label to the expected number of
    utterances: a folder with others is refused, or logged if ``expect_official`` is False. ``at_most`` keeps only the
    first so many utterances of each speaker and class, for a trial; counts are then not checked.

    FileNotFoundError if there is no such folder or table; ValueError if names, lines of the table, files or counts
    are wrong.
    """
    folder = Path(data_folder)
    if at_most is not None and (not isinstance(at_most, int) or at_most < 1):
        raise ValueError(f"at_most must be a count from 1, or null for all, got {at_most}.")
    rows, parts = find_utterances(folder, source)
    if at_most is not None:
        seen: dict[tuple, list[Utterance]] = defaultdict(list)
        for row in rows:
            seen[row.speaker, row.emotion].append(row)
        few = {row.id for same in seen.values() for row in same[:at_most]}
        rows = [row for row in rows if row.id in few]
    elif counts is not None:
        found, expected = [row.emotion for row in rows], list(Counter(counts).elements())
        compared = f"{folder} differs from the {corpus} that this recipe was made for ({len(expected)} utterances)"
        refuse_or_warn(count_differences(found, expected, "class"), compared, expect_official)
    known = [(row.id, row.speaker, row.emotion, row.sex, row.text, row.attributes, parts.get(row.id)) for row in rows]
    arguments = {
        **{"preparer": "table", "data_folder": str(folder.resolve()), "label_order": list(label_order)},
        **{"corpus": corpus, "source": asdict(source), "at_most": at_most},
        "contents": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12],  # of names or table
    }
    files = [Path(wav) for wav in dict.fromkeys(row.wav for row in rows)]

    def build() -> Manifest:
        measured = measure(rows, corpus, parts=parts)
        return Manifest(corpus, tuple(label_order), tuple(measured), speakers_known=source.speakers)

    return prepare_once(save_folder, arguments, files, build)


def find_utterances(
    folder: Path, source: Source, names: Sequence[Path] | None = None
) -> tuple[list[Utterance], dict[str, tuple[float, float]]]:
    """Every utterance by ID, not measured yet; and for those that are a part of a file, ID -> (start, stop) in s.

    A missing start or stop is NaN. ``names`` are the files of the folder, for a pattern, if ``list_recordings`` was
    already called. Errors are those of ``prepare_table``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"data_folder {folder} is not a folder; give the one that holds the recordings.")
    if source.pattern:
        names = list_recordings(folder) if names is None else names
        fields = match_names(names, source.pattern, folder)
        cells = [{**cell, "path": folder / name} for name, cell in zip(names, fields)]
    else:
        tables = find_tables(folder, source.table)
        cells = [cell for table in tables for cell in table_rows(table, folder, source.columns)]
        _warn_of_others({cell["path"] for cell in cells}, folder)
    cells = _labelled([{key: _composed(value) for key, value in cell.items()} for cell in cells], source)
    if source.speakers:
        cells = _with_known_speakers(cells)
    rows, parts = [], {}
    for name, cell in sorted(zip(_ids(cells, folder), cells), key=lambda pair: pair[0]):
        speaker = cell["speaker"] if source.speakers else name
        sex = SEXES.get(cell.get("sex", "").lower(), cell.get("sex", ""))
        known = {"sex": sex, "text": cell.get("text", ""), "attributes": cell.get("attributes", {})}
        known |= {} if source.pattern else {"transcript": known["text"]}  # in names it is a code
        rows.append(Utterance(name, str(cell["path"].resolve()), 0, 0, 0.0, speaker, cell["label"], **known))
        span = cell.get("start_s", math.nan), cell.get("stop_s", math.nan)
        if not all(map(math.isnan, span)):
            parts[name] = span
    return rows, parts


def find_tables(folder: Path, table: str) -> list[Path]:
    """The table, or several if its name holds a ``*``; FileNotFoundError if there is none."""
    if "*" not in table:
        return [folder / table]
    tables = [path for path in walk_files(folder) if path.relative_to(folder).match(table)]
    if not tables:
        raise FileNotFoundError(f"there is no table {table} in {folder}; give a CSV or TSV file with --table.")
    return tables


def _labelled(cells: list[dict], source: Source) -> list[dict]:
    """Cells with their label, without those that are left out."""
    labels = {_composed(code): label for code, label in source.labels.items()}
    codes = Counter(cell["emotion"] for cell in cells)
    if unused := sorted(set(labels) - set(codes)):
        known = some(sorted(codes))
        logger.warning("labels name %s, which no utterance has; codes are %s.", ", ".join(unused), known)
    if left_out := [f"{count} of {code}" for code, count in sorted(codes.items()) if labels.get(code) == LEFT_OUT]:
        logger.info("left out: %s.", ", ".join(left_out))
    kept = [{**cell, "label": labels.get(cell["emotion"], cell["emotion"])} for cell in cells]
    kept = [cell for cell in kept if cell["label"] != LEFT_OUT]
    if empty := [cell["path"].name for cell in kept if not cell["label"] or (source.speakers and not cell["speaker"])]:
        raise ValueError(f"{some(empty)}: no emotion or no speaker in the name; correct the pattern.")
    _refuse_partitions({cell["label"] for cell in kept}, "emotion")
    if slashed := sorted({cell["label"] for cell in kept if "/" in cell["label"]}):
        raise ValueError(f"the label '{slashed[0]}' names columns and must not hold a '/'; rename it with labels.")
    return kept


def _with_known_speakers(cells: list[dict]) -> list[dict]:
    """Cells without unknown speakers, who could be on both sides of any split."""
    unknown = [cell["path"].name for cell in cells if is_unknown_speaker(cell["speaker"])]
    known = [cell for cell in cells if not is_unknown_speaker(cell["speaker"])]
    if unknown:
        count = f"{len(unknown)} of {len(cells)} utterances have no known speaker ({some(unknown)})"
        if not known:
            raise ValueError(f"{count}; name the speakers, or give --no-speakers.")
        logger.warning("%s and are left out, because the same person may be on the other side of a split.", count)
    _refuse_partitions({cell["speaker"] for cell in known}, "speaker")
    return known


def _refuse_partitions(names: set[str], kind: str) -> None:
    if are_partitions(names):
        what = f"{some(sorted(names))} are the parts of a split and not {kind}s"
        raise ValueError(f"{what}; correct --columns, or write * instead of {{{kind}}}.")


def _warn_of_others(named: set[Path], folder: Path) -> None:
    """Count the sound files of the folder that are in no row of a table."""
    files = walk_files(folder) if folder != folder.parent else ()
    sounds = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    resolved = {path.resolve() for path in named}
    others = [path for path in sounds if path not in named and path.resolve() not in resolved]
    if others:
        names = some([str(path.relative_to(folder)) for path in others])
        logger.warning("%d sound files of %s are in no row of the table (%s).", len(others), folder, names)


def _ids(cells: list[dict], folder: Path) -> list[str]:
    """IDs of the table, else names of files with their part; with folders if names repeat."""
    if cells and all(cell.get("id") for cell in cells):
        ids = [cell["id"] for cell in cells]
    else:
        paths = {cell["path"]: cell["path"].stem for cell in cells}
        if len(set(paths.values())) < len(paths):
            inside = {path: path.relative_to(folder) if path.is_relative_to(folder) else path for path in paths}
            paths = {path: short.with_suffix("").as_posix() for path, short in inside.items()}
        ids = [_composed(paths[cell["path"]]) + _span(cell) for cell in cells]
    lines = defaultdict(list)
    for name, cell in zip(ids, cells):
        lines[name].append(str(cell.get("line")))
    if repeated := [f"{name} (lines {', '.join(found)})" for name, found in lines.items() if len(found) > 1]:
        cure = "Keep one line of each, or ignore a column that does not hold IDs (--columns id=-)."
        raise ValueError(f"utterances have the same ID: {some(repeated)}. {cure}")
    return ids


def _composed(value):
    """Letters and their accents as one character, as file systems may store them apart."""
    return normalize("NFC", value) if isinstance(value, str) else value


def _span(cell: dict) -> str:
    """``-1.5-2.75`` for a part from 1.5 s to 2.75 s, nothing for the whole file."""
    return "".join(f"-{cell[key]:.10g}" for key in ("start_s", "stop_s") if key in cell and not math.isnan(cell[key]))
