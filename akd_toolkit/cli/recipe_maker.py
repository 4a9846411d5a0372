"""What ``akd new-recipe`` does: look at a corpus, and write a recipe for it."""

import re
import shlex
import shutil
from pathlib import Path

import akd_toolkit.data.synthetic
import akd_toolkit.data.unlabelled  # noqa: F401  (both register corpora, whose names are taken)
from akd_toolkit.cli.recipe_files import recipe_files
from akd_toolkit.data.files import walk_files
from akd_toolkit.data.findings import Findings, look_at
from akd_toolkit.data.importers.corpus import Source, find_tables
from akd_toolkit.data.importers.groups import propose_groups
from akd_toolkit.data.importers.patterns import guess_folders, list_recordings
from akd_toolkit.data.importers.tables import choose_columns, read_table
from akd_toolkit.data.preparing import shortened
from akd_toolkit.data.watermark import WATERMARK
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.registry import CORPORA

TABLES = (".csv", ".tsv", ".jsonl")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def make_recipe(arguments) -> None:
    """Write the recipe that the arguments of ``akd new-recipe`` describe, and print what was found."""
    folder, target = Path(arguments.data_folder).expanduser().resolve(), Path(arguments.to).expanduser().resolve()
    _check(arguments, folder, target)
    names = None if _by_table(arguments) else list_recordings(folder)
    source = _source(arguments, folder, names)
    print(f"reading {folder} by {source.pattern or source.table}")
    findings = look_at(folder, source, arguments.name, names)
    print(f"{findings.sentence()}. {findings.lengths()}\n\n{markdown_table(*findings.table())}")
    print("".join(f"\nodd: {told}." for told in findings.oddities()), end="\n" if findings.oddities() else "")
    groups = propose_groups(findings.rows, arguments.folds)
    _write(target / arguments.name, recipe_files(arguments.name, folder, source, findings, groups))
    print(_ending(target / arguments.name, findings, groups))


def _check(arguments, folder: Path, target: Path) -> None:
    """Refuse what can be known to be wrong before anything is read."""
    name = arguments.name
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
        raise FileExistsError(f"{target / name} is there already and is left as it is; take another name or --to.")
    by_table = _by_table(arguments)
    if target.is_relative_to(folder) and not by_table:
        raise ValueError(
            f"the recipe would lie inside the corpus, {folder}, and sound in its results be taken for recordings; "
            "give another folder with --to."
        )
    if arguments.folds < 3:
        raise ValueError(f"--folds must be 3 or more, got {arguments.folds}: one is tested, one chooses, one trains.")
    if arguments.pattern and by_table:
        raise ValueError("--pattern is for names of files and --table, --columns for a table; give one of the two.")
    if arguments.layout in ("folders", "pattern") and (arguments.table or arguments.columns):
        raise ValueError(f"--table and --columns are for --layout csv, got --layout {arguments.layout}.")
    if arguments.layout == "pattern" and not arguments.pattern:
        raise ValueError("--layout pattern needs a --pattern, such as '{speaker}_{emotion}_{text}'.")


def _by_table(arguments) -> bool:
    return bool(arguments.table or arguments.columns or arguments.layout == "csv")


def _source(arguments, folder: Path, names: list[Path] | None) -> Source:
    labels, columns = _pairs(arguments.labels, "--labels"), _pairs(arguments.columns, "--columns")
    common = {"labels": labels, "speakers": not arguments.no_speakers}
    if names is None:
        table = _table(arguments.table, folder)
        first = find_tables(folder, table)[0]
        chosen = choose_columns(read_table(first), columns, first, common["speakers"])
        print(f"columns: {', '.join(f'{kind} is {name}' for kind, name in chosen.items())}")
        return Source(table=table, columns=chosen, **common)
    return Source(pattern=arguments.pattern or _guess(folder, names), **common)


def _guess(folder: Path, names: list[Path]) -> str:
    """The pattern of the folders, or an error that names tables as another way."""
    try:
        return guess_folders(names)
    except ValueError as error:
        tables = _tables(folder)
        hint = f" There is a table too: --table {tables[0]}." if tables else ""
        raise ValueError(f"{error}{hint}") from None


def _table(given: str | None, folder: Path) -> str:
    """The path of a table, from ``folder`` where it lies below it; the only one of the folder if none is given."""
    if given and "*" in given:
        return given
    if given:
        table = Path(given).expanduser().resolve()
        table = folder / given if not table.is_file() and (folder / given).is_file() else table
        return (table.relative_to(folder) if table.is_relative_to(folder) else table).as_posix()
    found = _tables(folder)
    if len(found) != 1:
        names = ", ".join(shortened(found)) or "none"
        raise ValueError(
            f"{folder} has {len(found)} CSV or TSV files ({names}); say which it is with --table, or give several that "
            "have the same columns with a *."
        )
    return found[0]


def _tables(folder: Path) -> list[str]:
    """Those that lie directly in a folder or, if none does, anywhere below it."""
    found = [path.relative_to(folder) for path in walk_files(folder) if path.suffix.lower() in TABLES]
    return [path.as_posix() for path in found if len(path.parts) == 1] or [path.as_posix() for path in found]


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text or not all(part.strip() for part in text.rsplit("=", 1))]
    if wrong:
        raise ValueError(
            f"{option} takes pairs such as {'W=anger' if 'labels' in option else 'path=file'}; got {wrong[0]}."
        )
    pairs = [tuple(part.strip() for part in text.rsplit("=", 1)) for text in texts]
    twice = [key for key, _ in pairs if [key for key, _ in pairs].count(key) > 1]
    if twice:
        raise ValueError(f"{option} says twice what {twice[0]} is; say it once.")
    return dict(pairs)


def _write(folder: Path, files: dict[str, str]) -> None:
    """The whole folder, or nothing of it."""
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        for name, text in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(text, encoding="utf-8")
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _ending(folder: Path, findings: Findings, groups: list[list[str]]) -> str:
    told = [f"\n{len(groups)} outer folds of {'speakers' if findings.speakers else 'utterances'}."]
    told += [] if findings.speakers else [WATERMARK]
    return "\n".join(
        [
            *told,
            f"made {folder}. It trains at once:\n",
            f"    cd {shlex.quote(str(folder))}",
            "    python train.py hparams/akd.yaml\n",
        ]
    )
