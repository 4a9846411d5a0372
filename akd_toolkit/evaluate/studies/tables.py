"""Tables of studies: one row a system and condition, from scores, as CSV for machines and Markdown for people."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.watermark import WATERMARK
from akd_toolkit.evaluate.report.comparison import compare
from akd_toolkit.evaluate.report.page import GENERATED
from akd_toolkit.evaluate.report.summary import summarise
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment

SUMMARY = ("wa_mean", "wa_std", "ua_mean", "ua_std", "wa_pooled", "wa_low", "wa_high", "ua_pooled", "ua_low", "ua_high")
COUNTS = ("utterances", "speakers", "folds", "seeds")
AHEAD = ("wa_ahead", "wa_ahead_low", "wa_ahead_high", "wa_p", "ua_ahead", "ua_ahead_low", "ua_ahead_high", "ua_p")
INTERVALS = (
    "WA and UA are means and deviations over the outer folds; pooled over all outer tests they carry 95 % intervals "
    "over speakers."
)
MADE_UP = "(generated speech)"
NO_REFERENCE = dict.fromkeys(AHEAD, np.nan)


def score_row(scores: pd.DataFrame, reference: pd.DataFrame | None = None) -> dict:
    """What a table says of one system under one condition, and how far that is ahead of the reference.

    ``*_ahead`` is the difference of the pooled score to the reference on the same utterances, with its 95 % interval
    paired over speakers; ``*_p`` is the permutation test by speaker. NaN without a reference.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["L", "A"], np.eye(2), ["L", "A"], fold=1, seed=17)
    >>> row = score_row(scores, reference=scores)
    >>> row["ua_pooled"], row["ua_ahead"], row["speakers"]
    (1.0, 0.0, 2)
    """
    summary = summarise(scores, label_order_of(scores))
    row = {name: summary[name] for name in (*SUMMARY, *COUNTS)}
    if reference is None:
        return {**row, **NO_REFERENCE}
    against = compare(scores, reference)
    for name in ("wa", "ua"):
        row[f"{name}_ahead"], row[f"{name}_p"] = against[f"{name}_difference"], against[f"{name}_p"]
        row[f"{name}_ahead_low"], row[f"{name}_ahead_high"] = against[f"{name}_low"], against[f"{name}_high"]
    return row


def score_header(ahead_of: str) -> list[str]:
    """Heads of the columns that ``score_cells`` fills."""
    return ["WA, folds", "UA, folds", "WA pooled [95 %]", "UA pooled [95 %]", f"UA against {ahead_of} [95 %]", "p"]


def score_cells(row: Mapping) -> list[str]:
    """One row for people: percent with one decimal."""
    known = not pd.isna(row["ua_ahead"])
    return [
        f"{100 * row['wa_mean']:.1f} ± {100 * row['wa_std']:.1f}",
        f"{100 * row['ua_mean']:.1f} ± {100 * row['ua_std']:.1f}",
        percent(row, "wa_pooled", "wa"),
        percent(row, "ua_pooled", "ua"),
        percent(row, "ua_ahead", "ua_ahead", signed=True) if known else "",
        f"{row['ua_p']:.3f}" if known else "",
    ]


def percent(row: Mapping, value: str, limits: str, signed: bool = False) -> str:
    """A share and its interval in percent; empty where it is not known.

    Example
    -------
    >>> percent({"ua_pooled": 0.8, "ua_low": 0.75, "ua_high": 0.85}, "ua_pooled", "ua")
    '80.0 [75.0, 85.0]'
    >>> percent({"gap": 0.05, "gap_low": -0.01, "gap_high": 0.11}, "gap", "gap", signed=True)
    '+5.0 [-1.0, +11.0]'
    """
    numbers = [100 * row[name] for name in (value, f"{limits}_low", f"{limits}_high")]
    if np.isnan(numbers[0]):
        return ""
    middle, low, high = (f"{number + 0.0:+.1f}" if signed else f"{number:.1f}" for number in numbers)
    return f"{middle} [{low}, {high}]"


def system_names(experiments: Sequence[Experiment]) -> list[str]:
    """Title of each experiment; where titles repeat, with its folder's name.

    A title says where speech was generated, and where scores are not speaker-independent.

    Raises
    ------
    ValueError
        If a folder is given twice.
    """
    folders = [experiment.folder.resolve() for experiment in experiments]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ValueError(f"{folder} was given twice; give each experiment once.")
    titles = [f"{one.title} {MADE_UP}" if one.manifest.generated else one.title for one in experiments]
    return [
        f"{title} ({experiment.folder.name})" if titles.count(title) > 1 else title
        for title, experiment in zip(titles, experiments)
    ]


def with_marks(table: pd.DataFrame, experiments: Sequence[Experiment]) -> pd.DataFrame:
    """The table with the columns ``speakers_known`` and ``generated``, of the corpus of each row's ``system``."""
    names = system_names(experiments)
    known = dict(zip(names, (one.speakers_known for one in experiments)))
    generated = dict(zip(names, (one.manifest.generated for one in experiments)))
    return table.assign(speakers_known=table["system"].map(known), generated=table["system"].map(generated))


def write_table(folder: Path, table: pd.DataFrame, title: str, sentences: Sequence[str], parts: Sequence[str]) -> Path:
    """Write table.csv and table.md; the Markdown begins with a heading, warnings and the sentences of protocol.

    Arguments
    ---------
    parts
        What follows them: Markdown tables, pictures, remarks.
    """
    write_text_aside(folder / "table.csv", table.to_csv(index=False, lineterminator="\n"))
    warnings = [] if table["speakers_known"].all() else [WATERMARK]
    warnings += [GENERATED] if table["generated"].any() else []
    text = "\n\n".join([f"# {title}", *warnings, " ".join(filter(None, sentences)), *filter(None, parts)])
    write_text_aside(folder / "table.md", text + "\n")
    return folder / "table.md"


def by_system(table: pd.DataFrame, header: Sequence[str], cells, left: int) -> str:
    """A Markdown table with ``cells(row)`` of every row; the system's name stands in its first row alone."""
    lines, before = [], None
    for _, row in table.iterrows():
        lines.append([row["system"] if row["system"] != before else "", *cells(row)])
        before = row["system"]
    return markdown_table(["system", *header], lines, left=left)


def publish(
    experiments: Sequence[Experiment],
    study: str,
    to: str | Path | None,
    table: pd.DataFrame,
    write: Callable[[Path, pd.DataFrame], Path],
) -> Path:
    """Write every experiment's own table into its folder, and the common one into ``to``; return the last.

    Arguments
    ---------
    to
        Folder for the common table, in a subfolder named after the study; needed where there are several experiments.
    table
        Its column ``system`` holds ``system_names``.
    write
        Given a folder and the rows that belong there, writes both and returns the table's path.
    """
    table = with_marks(table, experiments)
    for name, experiment in zip(system_names(experiments), experiments):
        path = write(experiment.paths.study(study), table[table["system"] == name].reset_index(drop=True))
    return path if to is None else write(Path(to) / study, table)


def check_place(experiments: Sequence[Experiment], to: str | Path | None) -> None:
    """Refuse several experiments that have no common place, before anything is computed.

    Raises
    ------
    ValueError
        If there are several experiments and no ``to``, or one is given twice.
    """
    if to is None and len(experiments) > 1:
        raise ValueError(f"{len(experiments)} folders need one for their common table; name it by --to FOLDER.")
    system_names(experiments)
