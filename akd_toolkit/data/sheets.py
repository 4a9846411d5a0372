"""Utterances from a table: a CSV or TSV file with a line for each, and columns for path, speaker and emotion."""

import codecs
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.preparing import shortened
from akd_toolkit.data.table_paths import find_paths

# What a column may be called where nobody says which it is, in lower case with "_" for blanks and signs; the first that
# is found is taken.
USUAL = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "wav", "wav_file", "wav_path", "audio"),
        *("audio_file", "audio_path", "audio_filepath", "clip"),
    ),
    "speaker": (
        *("speaker", "speaker_id", "speakerid", "spk", "spk_id", "spkrid", "actor", "actor_id", "actorid", "subject"),
        *("subject_id", "participant", "participant_id"),
    ),
    "emotion": ("emotion", "emotions", "label", "class", "category", "emotion_label", "emoclass", "emo"),
    "id": ("id", "utterance_id", "utt_id", "segment_id"),
    "sex": ("sex", "gender"),
    "text": ("text", "transcript", "transcription", "sentence", "utterance"),
    "start": ("start", "start_time", "begin", "begin_time", "onset", "offset"),
    "stop": ("stop", "end", "end_time", "stop_time", "offset"),
    "duration": ("duration", "length"),
}
TIMES = ("start", "stop", "duration")
ATTRIBUTES = ("valence", "arousal", "activation", "dominance")
UNIT = re.compile(r"_(s|secs?|seconds|ms|msecs?|milliseconds)$")  # at the end of a time's usual name
MILLISECONDS = re.compile(
    r"([^a-zA-Z]|(?<=[a-z])(?=M))(?i:ms|msecs?|milliseconds?)\W*$"
)  # start_ms, "end (ms)", startMs
UNKNOWN = ("", "nat", "nan", "none", "null")  # how programs write a number that is not known
UNUSED = "-"  # in place of a column's name
PART = re.compile(r"\{([^{}]+)\}")  # of a name that is put together from columns


def read_sheet(table: Path) -> pd.DataFrame:
    """The cells as text, without blanks around them; the index holds numbers of lines.

    Read are tables parted by commas, semicolons or tabs, in UTF-8 or UTF-16, and JSON lines.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a table, its encoding is another, or it has no line.
    """
    if not table.is_file():
        raise FileNotFoundError(f"there is no table {table}; give a CSV or TSV file with --table.")
    content = table.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
        lines = _json_lines(text) if table.suffix.lower() == ".jsonl" else _csv_lines(text)
    except UnicodeDecodeError:
        raise ValueError(f"{table} is not written in UTF-8; save it again as CSV in UTF-8.") from None
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{table} is not a table with a line of names on top ({error}); correct it.") from None
    (_, names), *rows = lines
    if not rows:
        raise ValueError(f"{table} has no line below its names; there is nothing to read.")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise ValueError(f"{table} has two columns named {twice[0]}; rename one.")
    long = [str(number) for number, cells in rows if len(cells) > len(names)]
    if long:
        raise ValueError(
            f"{table} is not a table: lines {', '.join(shortened(long))} have more cells than the {len(names)} names "
            "on top. Quote what holds the separator, or correct it."
        )
    cells = [cells + [""] * (len(names) - len(cells)) for _, cells in rows]
    return pd.DataFrame(cells, index=[number for number, _ in rows], columns=names, dtype=object)


def _csv_lines(text: str) -> list[tuple[int, list[str]]]:
    """Number and cells of every line that is not empty; empty cells at the end, as of a trailing comma, are cut off."""
    while text.startswith("#"):  # a remark above the names
        text = text.partition("\n")[2]
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max("\t;,", key=head.count), strict=True)
    if head.lower().startswith("sep="):  # Excel's own way to say what parts cells
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=head[4:5], strict=True)
        next(reader)
    lines = []
    for cells in reader:
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            lines.append((reader.line_num, [cell.strip() for cell in cells]))
    if not lines:
        raise ValueError("it is empty")
    return lines


def _json_lines(text: str) -> list[tuple[int, list[str]]]:
    records = [(number, json.loads(line)) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not all(isinstance(record, dict) for _, record in records):
        raise ValueError("a line is not an object with names")
    names = list(dict.fromkeys(name for _, record in records for name in record))
    cells = [(number, [record.get(name) for name in names]) for number, record in records]
    return [(0, names), *((number, ["" if cell is None else str(cell) for cell in row]) for number, row in cells)]


def choose_columns(sheet: pd.DataFrame, given: Mapping[str, str], table: Path, speakers: bool = True) -> dict:
    """What each column is: those that were named, and of the others the ones with a usual name.

    A name may be put together from columns, ``dia{Dialogue_ID}_utt{Utterance_ID}``, and ``-`` leaves a kind out. A
    column of IDs is one only where every line has its own.

    Example
    -------
    >>> choose_columns(pd.DataFrame(columns=["File", "who", "label"]), {"speaker": "who"}, Path("a.csv"))
    {'path': 'File', 'speaker': 'who', 'emotion': 'label'}

    Raises
    ------
    ValueError
        If path, speaker or emotion has no column, or one that was named is not there.
    """
    found = list(sheet.columns)
    chosen: dict[str, str] = {}
    for kind, names in {**USUAL, **{name: (name,) for name in ATTRIBUTES}}.items():
        free = {
            plain_name(name, kind): name for name in reversed(found) if name not in {*given.values(), *chosen.values()}
        }
        usual = [free[name] for name in names if name in free]
        if kind in given:
            chosen[kind] = given[kind]
        elif usual and not (
            (kind == "id" and not sheet[usual[0]].is_unique)
            or (kind == "duration" and ("start" not in chosen or "stop" in chosen))
        ):
            chosen[kind] = usual[0]
    chosen |= {kind: name for kind, name in given.items() if kind not in chosen}  # attributes of other names
    chosen = {kind: name for kind, name in chosen.items() if name != UNUSED and (speakers or kind != "speaker")}
    _check_columns(chosen, found, table, ("path", *(["speaker"] if speakers else []), "emotion"))
    return chosen


def _check_columns(columns: Mapping[str, str], found: Sequence[str], table: Path, needed: Sequence[str] = ()) -> None:
    parts = {kind: {name} if name in found else set(PART.findall(name)) or {name} for kind, name in columns.items()}
    absent = [f"{kind} ({columns[kind]})" for kind, names in parts.items() if not names <= set(found)]
    absent += [kind for kind in needed if kind not in columns]
    if absent:
        hint = " A corpus that does not say who speaks needs --no-speakers." if absent == ["speaker"] else ""
        raise ValueError(
            f"{table} has no column for {', '.join(absent)}; it has {', '.join(found)}. Say which it is, such as "
            f"--columns {absent[0].split()[0]}={found[0]}, or put it together, 'path=folder/{{{found[0]}}}.wav'.{hint}"
        )


@lru_cache(4096)
def plain_name(name: str, kind: str = "") -> str:
    """A column's name in lower case with "_" for blanks and signs, and for a time without its unit.

    Example
    -------
    >>> plain_name("Speaker ID"), plain_name("Start (s)", "start")
    ('speaker_id', 'start')
    """
    plain = re.sub(r"\W+", "_", name.lower()).strip("_")
    return UNIT.sub("", plain) if kind in TIMES else plain


def sheet_rows(table: Path, folder: Path, columns: Mapping[str, str]) -> list[dict]:
    """A mapping for each line: path, speaker, emotion, id, sex, text, start_s, stop_s, line and attributes.

    A part that begins at 0 and has no end is the whole file. Times are seconds, milliseconds in a column named so
    (``start_ms``), or written as pandas does (``0 days 00:00:01.2``); a comma may stand for the point.

    Arguments
    ---------
    folder
        Of the recordings; paths are looked for there and in the table's own folder, see ``find_paths``.

    Raises
    ------
    ValueError
        If a column is missing, cells are empty, files are missing, or numbers are none; all of them are named at once.
    """
    sheet = read_sheet(table)
    _check_columns(columns, list(sheet.columns), table)
    cells = pd.DataFrame({kind: _column(sheet, name) for kind, name in columns.items()})
    needed = [kind for kind in ("path", "speaker", "emotion") if kind in cells]
    problems = [(line, f"has no {kind}") for kind in needed for line in cells.index[cells[kind] == ""]]
    numbers = pd.DataFrame(index=cells.index, columns=["start", "stop"], dtype=float)
    for kind in (kind for kind in cells if kind in TIMES or kind not in USUAL):
        numbers[kind] = _numbers(cells[kind], columns[kind]) if kind in TIMES else _numbers(cells[kind])
        wrong = cells.loc[numbers[kind].isna() & ~cells[kind].str.lower().isin(UNKNOWN), kind]
        problems += [
            (line, f"has the {kind} '{text}', which is not a number or a time") for line, text in wrong.items()
        ]
    if "duration" in numbers:
        numbers["stop"] = numbers["stop"].fillna(numbers["start"] + numbers.pop("duration"))
    start, stop = numbers.pop("start"), numbers.pop("stop")
    for line in cells.index[(start < 0) | (stop <= start.fillna(0))]:
        problems.append((line, f"has start {start[line]:g} s and stop {stop[line]:g} s; give 0 <= start < stop"))
    paths = find_paths(list(cells["path"]), folder, table)
    missing = [
        (line, text) for line, text, path in zip(cells.index, cells["path"], paths) if text and not path.is_file()
    ]
    problems += [(line, f"names {text}, which is not a file in {folder}") for line, text in missing]
    if problems:
        told = shortened([f"line {line} {what}" for line, what in sorted(problems)])
        raise ValueError(f"{table} cannot be used: {'; '.join(told)}. Correct the table.")
    cells = cells.assign(path=paths, start_s=start.mask((start == 0) & stop.isna()), stop_s=stop, line=cells.index)
    attributes = [
        {kind: value for kind, value in zip(numbers, row) if not np.isnan(value)} for row in numbers.to_numpy()
    ]
    return [row | {"attributes": known} for row, known in zip(cells.to_dict("records"), attributes)]


def _column(sheet: pd.DataFrame, name: str) -> pd.Series:
    """A column of the sheet, or one that is put together from several."""
    if name in sheet:
        return sheet[name]
    return sheet.apply(lambda row: PART.sub(lambda part: row[part[1]], name), axis=1)


def _numbers(cells: pd.Series, time: str = "") -> pd.Series:
    """Cells as numbers, NaN for those that are none; with ``time``, the name of their column, as seconds."""
    cells = cells.str.replace(",", ".")
    numbers = pd.to_numeric(cells, errors="coerce").replace([np.inf, -np.inf], np.nan)
    if not time:
        return numbers
    spans = pd.to_timedelta(cells.where(numbers.isna()), errors="coerce").dt.total_seconds()
    return (numbers * (0.001 if MILLISECONDS.search(time) else 1.0)).fillna(spans)
