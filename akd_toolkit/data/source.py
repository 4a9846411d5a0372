"""Where a corpus that the toolkit does not know says what it holds: the names of its files, or a table."""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from akd_toolkit.data.files import walk_files
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.names import are_partitions, is_nobody
from akd_toolkit.data.patterns import compile_pattern, list_recordings, match_names
from akd_toolkit.data.preparing import shortened
from akd_toolkit.data.sheets import sheet_rows
from akd_toolkit.data.table_paths import SUFFIXES

logger = logging.getLogger(__name__)

SEXES = {**dict.fromkeys(("f", "w", "woman", "female"), "female"), **dict.fromkeys(("m", "man", "male"), "male")}
LEFT_OUT = "-"  # a code that stands for this label is left out


@dataclass(frozen=True)
class Source:
    """Where a corpus says who speaks, and with which emotion: in names (``pattern``) or in a table (``table``).

    Arguments
    ---------
    pattern
        As ``compile_pattern`` reads it; empty where there is a table.
    table
        Path of a CSV or TSV file, absolute or from the data folder; with a ``*``, several such files of that folder.
    columns
        What each column of the table is: ``path``, ``speaker`` and ``emotion`` -> its name, and as far as it has them
        ``id``, ``sex``, ``text``, ``start``, ``stop``, ``duration`` and attributes such as ``valence``. A name may be
        put together, ``dia{Dialogue_ID}_utt{Utterance_ID}``.
    labels
        Code -> label; ``-`` leaves a code out. What is not named here is a label already.
    speakers
        False for a corpus that does not say who speaks: every utterance then stands for a speaker of its own, and the
        corpus's name carries the watermark's mark.

    Raises
    ------
    ValueError
        If there are both pattern and table or none, or the pattern is wrong or lacks a field.
    """

    pattern: str = ""
    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    speakers: bool = True

    def __post_init__(self):
        if bool(self.pattern) == bool(self.table):
            raise ValueError("a corpus is read either by a pattern of names or from a table; give one of the two.")
        fields = compile_pattern(self.pattern).groupindex if self.pattern else self.columns
        if self.speakers and "speaker" not in fields:
            raise ValueError(
                f"nothing says who speaks: {self.pattern or self.table} has no speaker. Put {{speaker}} into a "
                "pattern, or name a column; with --no-speakers it goes on without, and every table will say that its "
                "scores are not speaker-independent."
            )
        if not self.speakers and "speaker" in fields:
            raise ValueError(
                f"{self.pattern or self.table} says who speaks, yet no speakers are wanted; leave --no-speakers out, "
                "or write * in place of {speaker}."
            )


def find_utterances(
    folder: Path, source: Source, names: Sequence[Path] | None = None
) -> tuple[list[Utterance], dict[str, tuple[float, float]]]:
    """Every utterance, not measured yet, by ID; and of those that are a part of a file, ID -> (start, stop) in s.

    A part without a start has NaN there and begins with the file; one without a stop ends with it.

    Arguments
    ---------
    names
        Files of the folder, for a pattern; ``list_recordings`` finds them where they are not given.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``prepare_table``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"data_folder {folder} is not a folder; give the one that holds the recordings.")
    if source.pattern:
        names = list_recordings(folder) if names is None else names
        cells = [
            {**fields, "path": folder / name} for name, fields in zip(names, match_names(names, source.pattern, folder))
        ]
    else:
        cells = [
            cell for table in find_tables(folder, source.table) for cell in sheet_rows(table, folder, source.columns)
        ]
        _warn_of_others({cell["path"] for cell in cells}, folder)
    kept = _with_speakers(_labelled(cells, source, folder), source)
    ids = _ids(kept, folder)
    rows, parts = [], {}
    for name, cell in sorted(zip(ids, kept), key=lambda pair: pair[0]):
        speaker = normalize("NFC", cell["speaker"]) if source.speakers else name
        sex = cell.get("sex", "")
        known = {
            "sex": SEXES.get(sex.lower(), sex),
            "text": cell.get("text", ""),
            "attributes": cell.get("attributes", {}),
        }
        rows.append(Utterance(name, str(cell["path"].resolve()), 0, 0, 0.0, speaker, cell["label"], **known))
        span = cell.get("start_s", math.nan), cell.get("stop_s", math.nan)
        if not all(map(math.isnan, span)):
            parts[name] = span
    return rows, parts


def _labelled(cells: list[dict], source: Source, folder: Path) -> list[dict]:
    """Cells with the label that their code stands for, less those that are left out."""
    labels = {normalize("NFC", code): label for code, label in source.labels.items()}
    codes = [normalize("NFC", cell["emotion"]) for cell in cells]
    unused = sorted(set(labels) - set(codes))
    if unused:
        known = ", ".join(shortened(sorted(set(codes))))
        logger.warning("labels name %s, which no utterance is coded; codes are %s.", ", ".join(unused), known)
    kept = [{**cell, "label": labels.get(code, code)} for cell, code in zip(cells, codes)]
    left_out = Counter(code for cell, code in zip(kept, codes) if cell["label"] == LEFT_OUT)
    if left_out:
        logger.info("left out: %s.", ", ".join(f"{count} of {code}" for code, count in sorted(left_out.items())))
    kept = [cell for cell in kept if cell["label"] != LEFT_OUT]
    empty = [cell["path"].name for cell in kept if not cell["label"] or (source.speakers and not cell["speaker"])]
    if empty:
        raise ValueError(f"{', '.join(shortened(empty))}: no emotion or no speaker in the name; correct the pattern.")
    _refuse_partitions({cell["label"] for cell in kept}, "emotion")
    slashed = sorted({cell["label"] for cell in kept if "/" in cell["label"]})
    if slashed:
        raise ValueError(
            f"the label '{slashed[0]}' names columns and must not hold a '/'; give it another with labels."
        )
    return kept


def _with_speakers(cells: list[dict], source: Source) -> list[dict]:
    """Cells less those of whom nobody knows who speaks: they may be anybody, so no split is safe from them."""
    if not source.speakers:
        return cells
    known = [cell for cell in cells if not is_nobody(cell["speaker"])]
    nameless = [cell["path"].name for cell in cells if is_nobody(cell["speaker"])]
    if nameless:
        count = f"{len(nameless)} of {len(cells)} utterances have no known speaker ({', '.join(shortened(nameless))})"
        if not known:
            raise ValueError(f"{count}; name who speaks, or give --no-speakers.")
        logger.warning("%s and are left out, because they may be anybody's on the other side of a split.", count)
    _refuse_partitions({cell["speaker"] for cell in known}, "speaker")
    return known


def _refuse_partitions(names: set[str], kind: str) -> None:
    if are_partitions(names):
        raise ValueError(
            f"{', '.join(shortened(sorted(names)))} are the parts of a split and not {kind}s; correct --columns, or "
            f"write * in place of {{{kind}}}."
        )


def _warn_of_others(named: set[Path], folder: Path) -> None:
    """Count the sound files of the folder that no line of a table names."""
    sounds = [] if folder == folder.parent else [path for path in walk_files(folder) if path.suffix.lower() in SUFFIXES]
    others = [path for path in sounds if path not in named]
    really = {path.resolve() for path in named} if others else set()
    others = [path for path in others if path.resolve() not in really]
    if others:
        names = ", ".join(shortened([str(path.relative_to(folder)) for path in others]))
        logger.warning("%d sound files of %s are in no line of the table (%s).", len(others), folder, names)


def find_tables(folder: Path, table: str) -> list[Path]:
    """The table, or several where its name holds a ``*``.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if "*" not in table:
        return [folder / table]
    tables = [path for path in walk_files(folder) if path.relative_to(folder).match(table)]
    if not tables:
        raise FileNotFoundError(f"there is no table {table} in {folder}; give a CSV or TSV file with --table.")
    return tables


def _ids(cells: list[dict], folder: Path) -> list[str]:
    """Names of the utterances: those of the table, else of the files, with the part of the file where one is meant.

    Where files in different folders have one name, the folders are a part of it.
    """
    if cells and all(cell.get("id") for cell in cells):
        ids = [cell["id"] for cell in cells]
    else:
        paths = {cell["path"] for cell in cells}
        unique = len({path.stem for path in paths}) == len(paths)
        ids = [normalize("NFC", _name(cell["path"], folder, unique)) + _span(cell) for cell in cells]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        lines = {name: [str(cell.get("line")) for cell, other in zip(cells, ids) if other == name] for name in twice}
        named = [f"{name} (lines {', '.join(lines[name])})" for name in twice]
        cure = "Keep one line of each, or leave a column of IDs out that is none (--columns id=-)."
        raise ValueError(f"utterances are named twice: {', '.join(shortened(named))}. {cure}")
    return ids


def _name(path: Path, folder: Path, unique: bool) -> str:
    if unique:
        return path.stem
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).with_suffix("").as_posix()


def _span(cell: dict) -> str:
    """``-1.5-2.75`` for a part from 1.5 s to 2.75 s, nothing for the whole file."""
    return "".join(f"-{cell[key]:.10g}" for key in ("start_s", "stop_s") if key in cell and not math.isnan(cell[key]))
