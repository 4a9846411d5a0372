"""Split tables as records of text: CSV, TSV, JSON, JSONL, lists of names, Kaldi folders."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from akd_toolkit.data.files import AUDIO_SUFFIXES
from akd_toolkit.data.importers.tables import USUAL, plain_name, read_table
from akd_toolkit.data.names import place_of

# The suffixes of a recording, and behind them the query of a URL.
SUFFIX = re.compile(rf"({'|'.join(map(re.escape, AUDIO_SUFFIXES))})+(\?.*)?$", re.IGNORECASE)
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".lst")
KALDI = ("utt2spk", "wav.scp")  # the first one found represents its folder

COLUMNS = {  # usual names of columns; the first that is there and not empty is used
    **{kind: USUAL[kind] for kind in ("start", "stop", "duration")},
    "id": ("key", *USUAL["id"], "utterance", "utt", "name", "filename", "file"),
    "path": (*USUAL["path"], "sig"),
    "speaker": (*USUAL["speaker"], "spkid"),
    "text": (*USUAL["text"], "wrd", "words"),
    "partition": ("partition", "split", "set", "subset", "split_set"),
    "fold": ("fold",),
    "emotion": USUAL["emotion"],
    "corpus": ("corpus", "dataset", "database"),
}
SURE = {*COLUMNS["path"], *COLUMNS["speaker"]}  # a mapping with one of these is a record
KNOWN = {*SURE, *COLUMNS["id"], *COLUMNS["text"], *COLUMNS["partition"], *COLUMNS["emotion"]}  # if it holds no records


def cell_of(record: dict[str, str], kind: str, column: str | None = None) -> str:
    """The cell of the given column, or else of the first usual one that is not empty; "" for none."""
    names = (plain_name(column),) if column else COLUMNS[kind]
    return next((record[name] for name in names if record.get(name)), "")


def read_records(path: Path, known: Collection[str] = ()) -> list[dict[str, str]]:
    """Each row as a dict of texts with keys in lower case; ``known`` are names of columns beside the usual ones.

    JSON may be a list of records, a dict of them by ID (which becomes ``key``), a dict of columns, a list of names, or
    any of these nested; a key on the way that names a partition becomes ``partition``. Other JSON, such as a map of
    labels, has no rows. ValueError if the file cannot be read.
    """
    kind, kaldi = path.suffix.lower(), path.name in KALDI
    if kind == ".csv" or (kind == ".tsv" and not _is_fairseq(path)):
        sheet = read_table(path)
        return [_as_texts(dict(zip(sheet.columns, cells))) for cells in sheet.to_numpy()]
    try:
        text = "" if kaldi else path.read_text(encoding="utf-8-sig")
        if kaldi:
            found = _kaldi(path.parent)
        elif kind in (".txt", ".lst", ".tsv"):
            found = _named_in_lines(text.split("\n", 1)[1] if kind == ".tsv" else text)
        else:
            found = _nested(_tree(text), KNOWN | set(map(plain_name, known)))
        return [_as_texts(record) for record in found]
    except (OSError, ValueError, RecursionError) as error:
        if not kaldi and kind not in SUFFIXES:
            raise ValueError(f"{path} is not a split file; give CSV, TSV, JSON, JSONL, TXT or LST.") from None
        raise ValueError(f"{path} cannot be read as {kind[1:].upper() or 'text'} ({error}); correct it.") from None


def _tree(text: str):
    """JSON, or a list of JSON lines; NeMo's manifests are such lines although they end in .json."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found += [json.loads(line, object_pairs_hook=_once)] if line.strip() else []
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error}") from None
    return found


def _once(pairs: Iterable[tuple]) -> dict:
    """A dict of pairs; a repeated key is refused, as the first value would be lost."""
    found: dict = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"'{key}' occurs twice")
        found[key] = value
    return found


def _is_fairseq(path: Path) -> bool:
    """Whether a .tsv holds a folder in its first line, and a path and a length in each other one."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first, second = file.readline(), file.readline()
    return "\t" not in first and "\t" in second and not first.startswith("#")


def _nested(tree, known: set[str], trail: tuple[str, ...] = ()) -> Iterator[dict]:
    """Records at any depth: dicts with a known column. ``trail`` holds the keys above, "" for a list's."""
    if isinstance(tree, list):
        if not trail or _names_a_place(trail):
            yield from (_with_place(trail, {"path": name}) for name in _names(tree))
        for item in tree:
            yield from _nested(item, known, (*trail, ""))
    elif isinstance(tree, dict):
        columns = {plain_name(str(name)): value for name, value in tree.items()}
        rows = _rows_of(columns) if columns.keys() & known else []
        holders = [value for value in columns.values() if isinstance(value, dict | list)]
        deeper = any(isinstance(value, list) and any(isinstance(i, dict) for i in value) for value in holders)
        if rows:
            yield from (_with_place(trail, row) for row in rows)
        elif (trail or not holders) and (columns.keys() & SURE or (columns.keys() & known and not deeper)):
            yield _with_place(trail[:-1], {"key": "".join(trail[-1:]), **columns})
        else:
            for key, value in tree.items():
                yield from _nested(value, known, (*trail, str(key)))


def _rows_of(columns: dict) -> list[dict]:
    """The rows of columns as pandas writes them: lists of one length, or dicts of the same rows; [] for others."""
    cells = [dict(enumerate(value)) if isinstance(value, list) else value for value in columns.values()]
    lists = sum(isinstance(value, list) for value in columns.values())
    dicts = sum(isinstance(value, dict) and "file" not in value for value in columns.values())
    if len(cells) not in (lists, dicts) or dicts == 1 or any(cell.keys() != cells[0].keys() for cell in cells):
        return []
    if any(isinstance(value, dict | list) for cell in cells for value in cell.values()):
        return []
    return [dict(zip(columns, row)) for row in zip(*(cell.values() for cell in cells))]


def _with_place(trail: Sequence[str], record: dict) -> dict:
    named = any(name in COLUMNS["partition"] for name in record)
    return record if named or not _names_a_place(trail) else {**record, "partition": " ".join(trail)}


def _names_a_place(trail: Sequence[str]) -> bool:
    return any(place_of(Path("-", *filter(None, trail))))


def _as_texts(record: dict) -> dict[str, str]:
    """SpeechBrain's {"wav": {"file": ..., "start": ..., "stop": ...}} is flattened."""
    for value in [value for value in record.values() if isinstance(value, dict) and "file" in value]:
        record = {**{key: value[key] for key in ("start", "stop") if key in value}, **record}
    return {_key(str(name)): _text(value) for name, value in record.items()}


@lru_cache(4096)
def _key(name: str) -> str:
    time = plain_name(name, "start")
    return time if time in COLUMNS["start"] + COLUMNS["stop"] else plain_name(name)


def _text(value) -> str:
    if isinstance(value, dict):
        return _text(value.get("file", ""))
    return "" if value is None else unicodedata.normalize("NFC", str(value)).strip()


def _names(cells: Sequence) -> list[str]:
    """The cells, if each of them names a recording: it has a digit, or a suffix of sound files."""
    fit = (isinstance(c, str) and (re.search(r"\d", c) or c.lower().endswith(AUDIO_SUFFIXES)) for c in cells)
    return list(cells) if all(fit) else []


def _named_in_lines(text: str) -> list[dict]:
    """The first field of each line, where all lines have as many fields; other text has no rows."""
    lines = [re.split(r"[\s,;|]+", line.strip()) for line in text.splitlines() if line.strip()]
    even = len({len(fields) for fields in lines}) == 1
    return [{"path": name} for name in _names([fields[0] for fields in lines])] if even else []


def _kaldi(folder: Path) -> list[dict]:
    """Utterances of utt2spk, wav.scp, segments and text, as far as they exist."""

    def table(name: str) -> dict[str, str]:
        lines = (folder / name).read_text(encoding="utf-8").splitlines() if (folder / name).is_file() else []
        return _once((*line.split(maxsplit=1), "")[:2] for line in lines if line.strip())

    speakers, wavs, texts, pieces = map(table, ("utt2spk", "wav.scp", "text", "segments"))
    found = []
    for name in dict.fromkeys((*speakers, *(pieces or wavs))):
        recording, start, stop = (*pieces.get(name, "").split(), "", "", "")[:3]
        wav = wavs.get(recording or name, recording)
        record = {"id": name, "wav": "" if wav.endswith("|") else wav, "start": start, "stop": stop}
        found.append(record | {"speaker": speakers.get(name, ""), "text": texts.get(name, "")})
    return found
