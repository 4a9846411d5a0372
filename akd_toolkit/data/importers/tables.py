"""Utterances from a table: CSV, TSV or JSON lines, with columns for path, speaker and emotion."""

import codecs
import io
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np
import pandas as pd

from akd_toolkit.data.files import AUDIO_SUFFIXES, walk_files
from akd_toolkit.data.names import some

# Usual names of columns, in lower case with "_" for blanks and signs; the first that is found is taken.
USUAL = {
    "path": "path file filename file_name filepath file_path wav wav_file wav_path audio audio_file audio_path "
    "audio_filepath clip",
    "speaker": "speaker speaker_id speakerid spk spk_id spkrid actor actor_id actorid subject subject_id participant "
    "participant_id",
    "emotion": "emotion emotions label class category emotion_label emoclass emo",
    "id": "id utterance_id utt_id segment_id",
    "sex": "sex gender",
    "text": "text transcript transcription sentence utterance",
    "start": "start start_time begin begin_time onset offset",
    "stop": "stop end end_time stop_time offset",
    "duration": "duration length",
    **{name: name for name in ("valence", "arousal", "activation", "dominance")},
}
USUAL = {kind: tuple(names.split()) for kind, names in USUAL.items()}
TEXTS, TIMES = ("path", "speaker", "emotion", "id", "sex", "text"), ("start", "stop", "duration")
UNIT = re.compile(r"_(s|secs?|seconds|ms|msecs?|milliseconds)$")  # at the end of a time's usual name
# start_ms, "end (ms)", startMs
MILLISECONDS = re.compile(r"([^a-zA-Z]|(?<=[a-z])(?=M))(?i:ms|msecs?|milliseconds?)\W*$")
UNKNOWN = ("", "nat", "nan", "none", "null")  # how programs write an unknown number
UNUSED = "-"  # instead of a column's name
PART = re.compile(r"\{([^{}]+)\}")  # of a name composed of columns
Parts = tuple[str, ...]


def read_table(path: Path) -> pd.DataFrame:
    """The cells as stripped text; the index holds line numbers.

    Cells may be separated by commas, semicolons or tabs, in UTF-8 or UTF-16; ``.jsonl`` files hold JSON lines.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {path}; give a CSV or TSV file with --table.")
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
        table = _json_lines(text) if path.suffix.lower() == ".jsonl" else _csv(text)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not written in UTF-8; save it again as CSV in UTF-8.") from None
    except ValueError as error:
        why = f"{path} is not a table with names in its first line ({str(error).strip()})"
        raise ValueError(f"{why}; correct it, and quote cells that contain the separator.") from None
    if table.empty:
        raise ValueError(f"{path} has no rows below its names.")
    repeated = table.columns[table.columns.duplicated() & (table.columns != "")]
    if len(repeated):
        raise ValueError(f"{path} has two columns named {repeated[0]}; rename one.")
    return table


def _csv(text: str) -> pd.DataFrame:
    while text.startswith(("#", "\n")):  # a comment above the names
        text = text.partition("\n")[2]
    head, _, rest = text.partition("\n")
    separator, first_line = max("\t;,", key=head.count), 1
    if head.lower().startswith("sep="):  # written by Excel
        separator, first_line, text = head[4:5], 2, rest
    # Separators at the end of a line would be columns without names.
    text = re.sub(rf"[{separator} \r]+$", "", text, flags=re.MULTILINE)
    options = {"sep": separator, "header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    cells = pd.read_csv(io.StringIO(text), **options).fillna("").map(str.strip)
    cells.index += first_line
    cells = cells[(cells != "").any(axis=1)]
    return cells.iloc[1:].set_axis(cells.iloc[0], axis=1)


def _json_lines(text: str) -> pd.DataFrame:
    records = {number: json.loads(line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()}
    if not all(isinstance(record, dict) for record in records.values()):
        raise ValueError("a line is not an object with names")
    names = dict.fromkeys(name for record in records.values() for name in record)
    rows = [["" if record.get(name) is None else str(record[name]) for name in names] for record in records.values()]
    return pd.DataFrame(rows, index=list(records), columns=list(names), dtype=object)


def choose_columns(cells: pd.DataFrame, given: Mapping[str, str], table: Path, speakers: bool = True) -> dict[str, str]:
    """Kind -> column: the given ones, and others with a usual name.

    A column may be composed, ``dia{Dialogue_ID}_utt{Utterance_ID}``, and ``-`` leaves a kind out. A column of IDs
    counts only if it has no repeated values.
    """
    chosen: dict[str, str] = {}
    for kind, names in USUAL.items():
        taken = {*given.values(), *chosen.values()}
        free = {plain_name(name, kind): name for name in reversed(cells.columns) if name not in taken}
        usual = next((free[name] for name in names if name in free), None)
        if kind == "id" and usual is not None and not cells[usual].is_unique:
            usual = None
        if kind == "duration" and ("start" not in chosen or "stop" in chosen):
            usual = None
        if name := given.get(kind, usual):
            chosen[kind] = name
    chosen = {kind: name for kind, name in {**chosen, **given}.items() if name != UNUSED}
    if not speakers:
        chosen.pop("speaker", None)
    _check_columns(chosen, cells, table, ("path", "speaker", "emotion") if speakers else ("path", "emotion"))
    return chosen


def _check_columns(columns: Mapping[str, str], cells: pd.DataFrame, table: Path, needed=()) -> None:
    found = list(cells.columns)
    parts = {kind: {name} if name in found else set(PART.findall(name)) or {name} for kind, name in columns.items()}
    absent = [f"{kind} ({columns[kind]})" for kind, names in parts.items() if not names <= set(found)]
    absent += [kind for kind in needed if kind not in columns]
    if absent:
        hint = " A corpus without known speakers needs --no-speakers." if absent == ["speaker"] else ""
        raise ValueError(
            f"{table} has no column for {', '.join(absent)}; it has {', '.join(found)}. Name it, such as "
            f"--columns {absent[0].split()[0]}={found[0]}, or compose it, 'path=folder/{{{found[0]}}}.wav'.{hint}"
        )


@lru_cache(4096)
def plain_name(name: str, kind: str = "") -> str:
    """A column's name in lower case with "_" for blanks and signs, and for a time without its unit."""
    plain = re.sub(r"\W+", "_", name.lower()).strip("_")
    return UNIT.sub("", plain) if kind in TIMES else plain


def table_rows(table: Path, folder: Path, columns: Mapping[str, str]) -> list[dict]:
    """For each row: path, speaker, emotion, id, sex, text, start_s, stop_s, line and attributes.

    A part that begins at 0 and has no end is the whole file. Times are seconds, milliseconds if the column is named so
    (``start_ms``), or written as pandas does (``0 days 00:00:01.2``); decimal commas are allowed. ``folder`` is that of
    the recordings; for how paths are found see ``find_paths``.
    """
    found = read_table(table)
    _check_columns(columns, found, table)
    cells = pd.DataFrame({kind: _column(found, name) for kind, name in columns.items()})
    needed = [kind for kind in ("path", "speaker", "emotion") if kind in cells]
    problems = [(line, f"has no {kind}") for kind in needed for line in cells.index[cells[kind] == ""]]
    numbers = pd.DataFrame(index=cells.index, columns=["start", "stop"], dtype=float)
    for kind in (kind for kind in cells if kind not in TEXTS):
        numbers[kind] = _numbers(cells[kind], columns[kind] if kind in TIMES else "")
        wrong = cells.loc[numbers[kind].isna() & ~cells[kind].str.lower().isin(UNKNOWN), kind]
        problems += [(line, f"has the {kind} '{text}', not a number or a time") for line, text in wrong.items()]
    if "duration" in numbers:
        numbers["stop"] = numbers["stop"].fillna(numbers["start"] + numbers.pop("duration"))
    start, stop = numbers.pop("start"), numbers.pop("stop")
    for line in cells.index[(start < 0) | (stop <= start.fillna(0))]:
        problems.append((line, f"has start {start[line]:g} s and stop {stop[line]:g} s; give 0 <= start < stop"))
    paths = find_paths(list(cells["path"]), folder, table)
    for line, text, path in zip(cells.index, cells["path"], paths):
        problems += [(line, f"names {text}, which is not a file in {folder}")] if text and not path.is_file() else []
    if problems:
        shown = some(f"line {line} {what}" for line, what in sorted(problems))
        raise ValueError(f"{table} cannot be used: {shown}. Correct the table.")
    cells = cells.assign(path=paths, start_s=start.mask((start == 0) & stop.isna()), stop_s=stop, line=cells.index)
    attributes = [row.dropna().to_dict() for _, row in numbers.iterrows()]
    return [row | {"attributes": known} for row, known in zip(cells.to_dict("records"), attributes)]


def _column(cells: pd.DataFrame, name: str) -> pd.Series:
    """A column of the table, or one composed of several."""
    if name in cells:
        return cells[name]
    return cells.apply(lambda row: PART.sub(lambda part: row[part[1]], name), axis=1)


def _numbers(cells: pd.Series, time_column: str) -> pd.Series:
    """Cells as numbers, else NaN; those of a column of times as seconds."""
    cells = cells.str.replace(",", ".")
    numbers = pd.to_numeric(cells, errors="coerce").replace([np.inf, -np.inf], np.nan)
    if not time_column:
        return numbers
    spans = pd.to_timedelta(cells.where(numbers.isna()), errors="coerce").dt.total_seconds()
    return (numbers * (0.001 if MILLISECONDS.search(time_column) else 1.0)).fillna(spans)


def find_paths(texts: Sequence[str], folder: Path, table: Path) -> list[Path]:
    """The file of each text; the text itself below ``folder`` if there is none.

    Paths as written, from ``folder`` or from the table's folder, where at least half of them are found; else the file
    whose path in ``folder`` is the end of the text (``/home/ann/corpus/wav/a.wav``), or the only one whose path ends
    like the text (``a.wav``). Suffix, Unicode form and the kind of slash may differ.
    """
    bases = folder, table.parent
    for base in bases:
        paths = [base / text for text in texts]
        if all(path.is_file() for path in paths):
            return paths
    files: dict[Parts, list[Path]] = defaultdict(list)
    for path in walk_files(folder):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            files[_parts(path.relative_to(folder).as_posix())].append(path)
    wanted = [_parts(text) for text in texts]
    home = _parts(table.parent.relative_to(folder).as_posix()) if table.is_relative_to(folder) else ()
    for places in (wanted, [(*home, *parts) for parts in wanted]):
        if 2 * sum(place in files for place in places) >= len(places):
            break
    else:
        by_name: dict[str, list[Parts]] = defaultdict(list)
        for place in files:
            by_name[place[-1]].append(place)
        places = [_place_of(parts, by_name["".join(parts[-1:])]) for parts in wanted]
    found = []
    for place, text in zip(places, texts):
        suffix = PurePosixPath(text).suffix.lower()
        same = files.get(place, [])
        same = [path for path in same if path.suffix.lower() == suffix] or same
        written = next((base / text for base in bases if (base / text).is_file()), folder / text)
        found.append(same[0] if len(same) == 1 else written)
    return found


def _parts(text: str) -> Parts:
    parts = [part for part in normalize("NFC", text).replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and PurePosixPath(parts[-1]).suffix.lower() in AUDIO_SUFFIXES:
        parts[-1] = PurePosixPath(parts[-1]).stem
    return tuple(parts)


def _place_of(parts: Parts, places: list[Parts]) -> Parts:
    """The longest of the places that is the end of the path, or else the only one that ends with it; () for none."""
    within = max((place for place in places if parts[-len(place) :] == place), key=len, default=())
    ending = [place for place in places if place[-len(parts) :] == parts]
    if not within and len(ending) > 1:
        folders = ["/".join(place[:-1]) or "the data folder itself" for place in ending]
        raise ValueError(
            f"{'/'.join(parts)} is found in {folders[0]} and in {folders[1]}; write the folder into the table's paths, "
            "such as --columns 'path=folder/{name of the column}'."
        )
    return within or (ending[0] if ending else ())
