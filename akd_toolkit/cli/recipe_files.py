"""The files of a new recipe: the templates beside this room, filled in."""

import json
import re
import textwrap
from importlib.resources import files
from pathlib import Path
from string import Template

from akd_toolkit.data.findings import Findings
from akd_toolkit.data.importers.corpus import Source
from akd_toolkit.data.watermark import WATERMARK
from akd_toolkit.evaluate.report.tables import markdown_table

SUFFIX = ".txt"  # of templates, so that no tool takes them for code
WIDTH, COLUMN = 120, 33  # of a line; where comments of a YAML begin
LARGE = 1000  # utterances, from which half as many epochs are as many steps
MAX_LINES = 24  # of outer folds in a YAML; more go into a file of their own
FOLDS_FILE = "folds.yaml"


def recipe_files(
    name: str, folder: Path, source: Source, findings: Findings, groups: list[list[str]]
) -> dict[str, str]:
    """Path below the recipe's folder -> text, of every file of the recipe."""
    folds = fold_lines(groups)
    inside = len(folds) <= MAX_LINES
    values = {
        "name": name,
        "registered": name.lower(),
        "prepare": f"prepare_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}",
        "found": findings.sentence(),
        "told": textwrap.fill(findings.lengths(), WIDTH),
        "source": _source(source),
        "counts": "\n".join(f"    {quoted(label)}: {count}," for label, count in findings.counts.items()),
        "data_folder": quoted(str(folder)),
        "label_order": flow([scalar(label) for label in findings.counts], "label_order"),
        "outer_folds": "\n".join(folds) if inside else f"outer_folds: !include:../{FOLDS_FILE}  # {_unit(findings)}",
        "num_folds": len(groups),
        "independent": aligned("speaker_independent", "true" if findings.speakers else "false"),
        "unseen": "unseen speakers" if findings.speakers else "unseen utterances of unknown speakers",
        "window_s": aligned("window_s", findings.window_s),
        "window": findings.window_s,
        "epochs": aligned("number_of_epochs", 20 if len(findings.rows) >= LARGE else 40),
        "small_teachers": _small_teachers(4),
        "debug_teachers": _small_teachers(8),
        "watermark": "" if findings.speakers else f"\n{textwrap.fill(WATERMARK, 118, subsequent_indent='> ')}\n",
        "protocol": textwrap.fill(_protocol(findings, groups), WIDTH, initial_indent="- ", subsequent_indent="  "),
        "table": markdown_table(*findings.table()),
        "odd": "".join(f"\n- {told}." for told in findings.oddities()),
    }
    values["outer_folds"] = values["outer_folds"].replace("UNIT", _unit(findings))
    made = {path: Template(text).substitute(values) for path, text in templates().items()}
    return (
        made
        if inside
        else {**made, FOLDS_FILE: "\n".join(["# outer_folds of every YAML in hparams", *folds[1:]]) + "\n"}
    )


def templates() -> dict[str, str]:
    """Path below the recipe's folder -> its template."""
    root = files("akd_toolkit") / "recipe_template"
    found = [entry for entry in root.iterdir() if entry.is_file()]
    found += [entry for entry in (root / "hparams").iterdir() if entry.is_file()]
    inside = {entry.name.removesuffix(SUFFIX): entry.read_text(encoding="utf-8") for entry in found}
    return {f"hparams/{name}" if name.endswith(".yaml") else name: text for name, text in sorted(inside.items())}


def quoted(text: str) -> str:
    """A text in double quotes, as YAML and Python both read it.

    Example
    -------
    >>> quoted("08"), quoted('C:\\\\Ä "b"')
    ('"08"', '"C:\\\\\\\\Ä \\\\"b\\\\""')
    """
    return json.dumps(text, ensure_ascii=False)


def scalar(text: str) -> str:
    """A text for YAML, in quotes only where it needs them.

    Example
    -------
    >>> scalar("anger"), scalar("no"), scalar("08")
    ('anger', '"no"', '"08"')
    """
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", text)
    return (
        text
        if plain and text.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
        else quoted(text)
    )


def aligned(key: str, value) -> str:
    """A value, with blanks after it so that the comment of its line begins where others do."""
    return str(value).ljust(COLUMN - len(key) - 4)


def flow(items: list[str], key: str) -> str:
    """A list in brackets after ``key``, on one line where it and a comment fit there."""
    line = f"[{', '.join(items)}]"
    if len(line) + len(key) <= 80:
        return line
    return "[  # as follows\n    " + "\n    ".join(_wrapped(items, 80)) + "]"


def fold_lines(groups: list[list[str]]) -> list[str]:
    """The setting ``outer_folds``; a group begins a line, and goes on in others where it is long."""
    lines = ["outer_folds:".ljust(COLUMN) + "# UNIT"]
    for group in groups:
        first, *rest = _wrapped([quoted(speaker) for speaker in group], WIDTH - 8)
        lines += [f"    - [{first}", *(f"       {line}" for line in rest)]
        lines[-1] += "]"
    return lines


def _wrapped(items: list[str], width: int) -> list[str]:
    """Items with commas between them, in lines; none is broken."""
    text = ", ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def _unit(findings: Findings) -> str:
    return "speakers tested together" if findings.speakers else "utterances tested together: nobody knows who speaks"


def _small_teachers(indent: int) -> str:
    """Two different teachers that need neither a download nor an extra."""
    lines = [
        "log-mel: {name: logmel_statistics, parts: [spectrum, dynamics]}",
        "prosody: {name: logmel_statistics, parts: [prosody]}",
    ]
    return "\n".join(" " * indent + line for line in lines)


def _source(source: Source) -> str:
    """The call that makes the source again."""
    lines = [f"    pattern={quoted(source.pattern)}," if source.pattern else f"    table={quoted(source.table)},"]
    for key, mapping in (("columns", source.columns), ("labels", source.labels)):
        if mapping:
            pairs = [f"        {quoted(left)}: {quoted(right)}," for left, right in mapping.items()]
            lines += [f"    {key}={{", *pairs, "    },"]
    lines += [] if source.speakers else ["    speakers=False,"]
    return "\n".join(["Source(", *lines, ")"])


def _protocol(findings: Findings, groups: list[list[str]]) -> str:
    if not findings.speakers:
        return (
            f"{len(groups)} outer folds of utterances, **not of speakers**: nobody has said who speaks. Every "
            "utterance stands for a speaker of its own; those with the same sound, or cut from one file, stay together."
        )
    sizes = sorted({len(group) for group in groups})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"{len(groups)} outer folds of {count} speaker{'s' * (sizes[-1] > 1)} each. A fold's speakers are heard only "
        "in its test: by no student, no teacher's head, no normalisation. Every training proves this of itself in "
        "`record.json`."
    )
