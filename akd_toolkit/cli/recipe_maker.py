"""A recipe for a new corpus: what the corpus holds, and the templates of ``recipe_template`` filled in."""

import json
import re
import shlex
import textwrap
from importlib.resources import files
from pathlib import Path
from string import Template

import akd_toolkit.data.synthetic
import akd_toolkit.data.unlabelled  # noqa: F401  (both register corpora, whose names are taken)
from akd_toolkit.data.files import folder_aside, walk_files
from akd_toolkit.data.findings import Findings, look_at
from akd_toolkit.data.importers.corpus import Source, find_tables
from akd_toolkit.data.importers.groups import propose_groups
from akd_toolkit.data.importers.patterns import guess_folders, list_recordings
from akd_toolkit.data.importers.tables import choose_columns, read_table
from akd_toolkit.data.manifest import WATERMARK
from akd_toolkit.data.names import some
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.registry import CORPORA

TABLES = (".csv", ".tsv", ".jsonl")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
LARGE = 1000  # utterances; from here on half as many epochs are enough
MAX_LINES = 24  # of outer folds in a YAML; more go to a file of their own
FOLDS_FILE = "folds.yaml"


def make_recipe(
    name: str,
    data_folder: str,
    layout: str | None,
    pattern: str | None,
    table: str | None,
    columns: list[str],
    labels: list[str],
    no_speakers: bool,
    folds: int,
    to: str,
) -> None:
    """Write the recipe that the options of ``akd new-recipe`` describe, and print what was found."""
    folder, target = Path(data_folder).expanduser().resolve(), Path(to).expanduser().resolve()
    by_table = bool(table or columns or layout == "csv")
    _check_places(name, folder, target, by_table)
    if folds < 3:
        raise ValueError(f"--folds must be 3 or more, got {folds}: for test, for choosing, and for training.")
    if pattern and by_table:
        raise ValueError("--pattern is for names of files and --table, --columns for a table; give one of the two.")
    if layout in ("folders", "pattern") and by_table:
        raise ValueError(f"--table and --columns are for --layout csv, got --layout {layout}.")
    if layout == "pattern" and not pattern:
        raise ValueError("--layout pattern needs a --pattern, such as '{speaker}_{emotion}_{text}'.")
    common = {"labels": _pairs(labels, "--labels W=anger"), "speakers": not no_speakers}
    chosen, names = _pairs(columns, "--columns path=file"), None
    if by_table:
        table = _table(table, folder)
        first = find_tables(folder, table)[0]
        chosen = choose_columns(read_table(first), chosen, first, not no_speakers)
        print(f"columns: {', '.join(f'{kind} is {column}' for kind, column in chosen.items())}")
        source = Source(table=table, columns=chosen, **common)
    else:
        names = list_recordings(folder)
        source = Source(pattern=pattern or _guess(folder, names), **common)
    print(f"reading {folder} by {source.pattern or source.table}")
    findings = look_at(folder, source, name, names)
    print(f"{findings.sentence()}. {findings.lengths()}\n\n{markdown_table(*findings.table())}")
    print("".join(f"\nodd: {oddity}." for oddity in findings.oddities()), end="\n" if findings.oddities() else "")
    groups = propose_groups(findings.rows, folds)
    with folder_aside(target / name) as aside:
        for path, text in recipe_files(name, folder, source, findings, groups).items():
            (aside / path).parent.mkdir(exist_ok=True)
            (aside / path).write_text(text, encoding="utf-8")
    print(f"\n{len(groups)} outer folds of {'speakers' if findings.speakers else 'utterances'}.")
    if not findings.speakers:
        print(WATERMARK)
    print(f"made {target / name}. Train it with:\n\n    cd {shlex.quote(str(target / name))}")
    print("    python train.py hparams/akd.yaml\n")


def _check_places(name: str, folder: Path, target: Path, by_table: bool) -> None:
    if NAME.fullmatch(name) is None:
        raise ValueError(
            f"the name '{name}' cannot name a recipe's folder; take letters, digits, - and _, with a letter first."
        )
    if name.lower() in CORPORA.names():
        raise ValueError(f"the toolkit has a corpus '{name.lower()}' already; take another name.")
    if not folder.is_dir():
        raise FileNotFoundError(f"data_folder {folder} is not a folder; give the one that holds the recordings.")
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"--to {target} is a file; give a folder.")
    if (target / name).exists():
        raise FileExistsError(f"{target / name} exists already and is left as it is; take another name or --to.")
    if target.is_relative_to(folder) and not by_table:
        raise ValueError(
            f"the recipe would lie inside the corpus, {folder}, and audio in its results be read as recordings; give "
            "another folder with --to."
        )


def _guess(folder: Path, names: list[Path]) -> str:
    """The pattern of the folders, or an error that names tables as another way."""
    try:
        return guess_folders(names)
    except ValueError as error:
        hints = [f" There is a table too: --table {table}." for table in _tables(folder)]
        raise ValueError(f"{error}{hints[0] if hints else ''}") from None


def _table(given: str | None, folder: Path) -> str:
    """The path of a table, relative to ``folder`` if it is inside; the only one of the folder if none is given."""
    if given and "*" in given:
        return given
    if given:
        table = Path(given).expanduser().resolve()
        table = folder / given if not table.is_file() and (folder / given).is_file() else table
        return (table.relative_to(folder) if table.is_relative_to(folder) else table).as_posix()
    found = _tables(folder)
    if len(found) != 1:
        names = some(found) or "none"
        raise ValueError(
            f"{folder} has {len(found)} CSV or TSV files ({names}); name one with --table, or several that have the "
            "same columns with a *."
        )
    return found[0]


def _tables(folder: Path) -> list[str]:
    """Tables directly in a folder or, if there are none, anywhere below it."""
    found = [path.relative_to(folder).as_posix() for path in walk_files(folder) if path.suffix.lower() in TABLES]
    return [path for path in found if "/" not in path] or found


def _pairs(texts: list[str], example: str) -> dict[str, str]:
    """Pairs of an option; ``example`` is its name and a pair."""
    option, pair = example.split()
    pairs: dict[str, str] = {}
    for text in texts:
        left, _, right = (part.strip() for part in text.rpartition("="))
        if not (left and right):
            raise ValueError(f"{option} takes pairs such as {pair}; got {text}.")
        if left in pairs:
            raise ValueError(f"{option} names {left} twice; name it once.")
        pairs[left] = right
    return pairs


def recipe_files(
    name: str, folder: Path, source: Source, findings: Findings, groups: list[list[str]]
) -> dict[str, str]:
    """Path below the recipe's folder -> text, of every file of the recipe."""
    lines = [line for group in groups for line in _flow(group, "    - ")]
    short, known = len(lines) <= MAX_LINES, findings.speakers
    unit = "speakers tested together" if known else "utterances tested together: the speakers are unknown"
    folds = "\n".join([f"outer_folds:  # {unit}", *lines])
    values = {
        "name": name,
        "registered": name.lower(),
        "prepare": f"prepare_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}",
        "found": findings.sentence(),
        "lengths": textwrap.fill(findings.lengths(), 120),
        "source": _source_code(source),
        "counts": "\n".join(f"    {quoted(label)}: {count}," for label, count in findings.counts.items()),
        "data_folder": quoted(str(folder)),
        "label_order": "\n".join(_flow(list(findings.counts), "")).strip(),
        "outer_folds": folds if short else f"outer_folds: !include:../{FOLDS_FILE}  # {unit}",
        "num_folds": len(groups),
        "independent": str(known).lower(),
        "unseen": "unseen speakers" if known else "unseen utterances of unknown speakers",
        "window_s": findings.window_s,
        "epochs": 20 if len(findings.rows) >= LARGE else 40,
        "watermark": "" if known else f"\n{textwrap.fill(WATERMARK, 118, subsequent_indent='> ')}\n",
        "protocol": textwrap.fill(_protocol(known, groups), 120, initial_indent="- ", subsequent_indent="  "),
        "table": markdown_table(*findings.table()),
        "odd": "".join(f"\n- {oddity}." for oddity in findings.oddities()),
    }
    texts = {path: Template(text).substitute(values) for path, text in templates().items()}
    return texts if short else {**texts, FOLDS_FILE: "\n".join(["# outer_folds of every YAML in hparams", *lines, ""])}


def templates() -> dict[str, str]:
    """Path below the recipe's folder -> its template; .txt at their ends keeps tools from taking them for code."""
    root = files("akd_toolkit") / "recipe_template"
    found = {entry.name: entry for entry in root.iterdir() if entry.is_file()}
    found |= {f"hparams/{entry.name}": entry for entry in (root / "hparams").iterdir() if entry.is_file()}
    return {name.removesuffix(".txt"): entry.read_text(encoding="utf-8") for name, entry in sorted(found.items())}


def quoted(text: str) -> str:
    """A text in double quotes, as both YAML and Python read it."""
    return json.dumps(text, ensure_ascii=False)


def _flow(items: list[str], prefix: str) -> list[str]:
    """Lines of a YAML list in brackets, of at most about 110 characters, none of whose items is broken."""
    text = ", ".join(quoted(item).replace(" ", "\0") for item in items)
    lines = textwrap.wrap(f"[{text}]", 106, break_long_words=False, break_on_hyphens=False)
    return [(prefix if number == 0 else "       ") + line.replace("\0", " ") for number, line in enumerate(lines)]


def _source_code(source: Source) -> str:
    """The Python call that makes the source."""
    lines = [f"    pattern={quoted(source.pattern)}," if source.pattern else f"    table={quoted(source.table)},"]
    for key, mapping in (("columns", source.columns), ("labels", source.labels)):
        pairs = [f"        {quoted(left)}: {quoted(right)}," for left, right in mapping.items()]
        lines += [f"    {key}={{", *pairs, "    },"] if pairs else []
    lines += [] if source.speakers else ["    speakers=False,"]
    return "\n".join(["Source(", *lines, ")"])


def _protocol(speakers_known: bool, groups: list[list[str]]) -> str:
    if not speakers_known:
        return (
            f"{len(groups)} outer folds of utterances, **not of speakers**, who are unknown. Every utterance counts as "
            "a speaker of its own; those with the same audio, or cut from one file, stay together."
        )
    sizes = sorted({len(group) for group in groups})
    return (
        f"{len(groups)} outer folds of {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} "
        f"speaker{'s' * (sizes[-1] > 1)} each. A fold's speakers are in no training data, whether of the student, a "
        "teacher's head or the normalisation. Every training checks this and records it in `record.json`."
    )
