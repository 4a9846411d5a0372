"""What all studies share: a tidy table with a row for each system and condition, and the files made from it.

A study takes experiments and ``to``, the folder for the common table of several, and returns the path of its table.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import WATERMARK
from akd_toolkit.evaluate.report.plots import GRID, STYLE, save_figure
from akd_toolkit.evaluate.report.summary import compare, summarise
from akd_toolkit.evaluate.report.tables import GENERATED, markdown_table, over_folds, with_limits
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment

SUMMARY = ("wa_mean", "wa_std", "ua_mean", "ua_std", "wa_pooled", "wa_low", "wa_high", "ua_pooled", "ua_low", "ua_high")
COUNTS = ("utterances", "speakers", "folds", "seeds")
Columns = Mapping[str, str | Callable[[pd.Series], str]]  # heading -> text with columns in braces, or a function


def write_study(
    experiments: Sequence[Experiment],
    to: str | Path | None,
    name: str,
    title: str,
    notes: str | Callable[[pd.DataFrame], str],
    tables: Mapping[str, tuple[str, pd.DataFrame, Columns]],
    plot: Callable[[Mapping[str, pd.DataFrame]], Figure] | None = None,
    picture: str = "",
) -> Path:
    """Write each experiment's own page into ``studies/<name>``, and the common one below ``to``; the path of the last.

    Arguments
    ---------
    notes
        Protocol and definitions, or how to tell them from the rows of a page in table.csv.
    tables
        File name -> heading, rows with a column ``system``, and the columns to show after it, if any.
    plot, picture
        Draws the tables of a page by their file names, and what the plot shows.
    """
    systems = dict(zip(system_names(experiments), experiments))
    pages = [(one.paths.study(name), {system: one}) for system, one in systems.items()]
    for folder, members in [*pages, *([] if to is None else [(Path(to) / name, systems)])]:
        own, parts = {}, []
        for file, (heading, rows, columns) in tables.items():
            own[file] = rows[rows["system"].isin(members)].reset_index(drop=True)
            if file == "table.csv":
                of_rows = [members[system] for system in own[file]["system"]]
                marks = {"speakers_known": [one.speakers_known for one in of_rows]}
                own[file] = own[file].assign(**marks, generated=[one.manifest.generated for one in of_rows])
            parts += [f"## {heading}"] if heading else []
            parts += [_markdown(own[file], columns, left=3 if heading else 2)] if columns else []
        text = notes if isinstance(notes, str) else notes(own["table.csv"])
        path = write_page(folder, title, members.values(), text, own, parts, plot and plot(own), picture)
    return path


def write_page(
    folder: Path,
    title: str,
    experiments: Collection[Experiment],
    notes: str,
    tables: Mapping[str, pd.DataFrame],
    parts: Sequence[str],
    figure: Figure | None = None,
    picture: str = "",
) -> Path:
    """Write table.md, the tables by their file names and the plot; returns the path of the first."""
    for name, rows in tables.items():
        write_text_aside(folder / name, rows.to_csv(index=False, lineterminator="\n"))
    page = [f"# {title}"]
    page += [] if all(one.speakers_known for one in experiments) else [WATERMARK]
    page += [GENERATED] if any(one.manifest.generated for one in experiments) else []
    page += [notes]
    if figure:
        save_figure(figure, [folder / "plot.png", folder / "plot.svg"])
        page.append(f"![{picture}](plot.png)")
    write_text_aside(folder / "table.md", "\n\n".join([*page, *parts]) + "\n")
    return folder / "table.md"


def _markdown(rows: pd.DataFrame, columns: Columns, left: int) -> str:
    """The table in Markdown, a system's name in its first row only."""
    names = rows["system"].where(rows["system"] != rows["system"].shift(), "")
    cells = [
        [name, *(cell(row) if callable(cell) else cell.format(**row) for cell in columns.values())]
        for name, (_, row) in zip(names, rows.iterrows())
    ]
    return markdown_table(["system", *columns], cells, left)


def system_names(experiments: Sequence[Experiment]) -> list[str]:
    """Title of each experiment, with its folder's name where titles repeat; generated speech is marked."""
    titles = [f"{one.title} (generated speech)" if one.manifest.generated else one.title for one in experiments]
    return [
        f"{title} ({experiment.folder.name})" if titles.count(title) > 1 else title
        for title, experiment in zip(titles, experiments)
    ]


def named(experiments: Sequence[Experiment], to: str | Path | None) -> list[tuple[str, Experiment]]:
    """(name of the system, experiment) of each, all finished.

    Refused are folders given twice, and several without the folder ``to`` for the common table.
    """
    folders = [experiment.folder.resolve() for experiment in experiments]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ValueError(f"{folder} was given twice; give each experiment once.")
    if to is None and len(experiments) > 1:
        raise ValueError(f"{len(experiments)} experiments need a folder for their common table; give --to FOLDER.")
    for experiment in experiments:
        finished_runs(experiment)
    return list(zip(system_names(experiments), experiments))


def finished_runs(experiment: Experiment) -> list[PlannedRun]:
    """All outer runs of an experiment, which must have students and be finished."""
    runs = experiment.outer_runs()
    missing = [run.name for run in runs if not run.done]
    if not runs:
        raise ValueError(f"{experiment.folder} has no student: its recipe scores teachers alone; give another folder.")
    if missing:
        raise ValueError(
            f"{experiment.folder} is not finished: {len(missing)} of {len(runs)} outer runs are missing (first: "
            f"{missing[0]}); run its recipe to the end first."
        )
    return runs


def score_row(scores: pd.DataFrame, reference: pd.DataFrame | None = None) -> dict:
    """Scores of one system under one condition, and how far they are ahead of a reference on the same utterances.

    ``*_ahead`` is of pooled scores, with its paired 95 % interval over speakers; ``*_p`` is the permutation test by
    speaker. NaN without a reference.
    """
    summary = summarise(scores, label_order_of(scores))
    row = {name: summary[name] for name in (*SUMMARY, *COUNTS)}
    against = {} if reference is None else compare(scores, reference)
    for name in ("wa", "ua"):
        for part, column in (("difference", "ahead"), ("low", "ahead_low"), ("high", "ahead_high"), ("p", "p")):
            row[f"{name}_{column}"] = against.get(f"{name}_{part}", np.nan)
    return row


def same_rows(teacher: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The teacher's row for each row of ``scores``, in that order; NaN where it has none.

    Rows are of the same seed, if the teacher was scored for each (``label_share``).
    """
    keys = ["ID", "seed"] if set(scores["seed"]) <= set(teacher["seed"]) else ["ID"]
    return scores[keys].merge(teacher.drop_duplicates(keys), "left", on=keys)


def score_columns(reference: str) -> Columns:
    """Columns of a table with ``score_row``."""
    return {
        "WA, folds": partial(over_folds, score="wa"),
        "UA, folds": partial(over_folds, score="ua"),
        "WA pooled [95 %]": partial(with_limits, value="wa_pooled", limits="wa"),
        "UA pooled [95 %]": partial(with_limits, value="ua_pooled", limits="ua"),
        f"UA against {reference} [95 %]": partial(with_limits, value="ua_ahead", sign="+"),
        "p": lambda row: "" if pd.isna(row["ua_p"]) else f"{row['ua_p']:.3f}",
    }


def panels_of(num_rows: int, num_columns: int, size: tuple[float, float], **options) -> tuple[Figure, np.ndarray]:
    """A figure and its panels [rows, columns], in the style of the reports."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(num_rows, num_columns, squeeze=False, **options)
    for axes in panels.ravel():
        axes.grid(color=GRID, linewidth=0.8)
    return figure, panels


def draw_intervals(axes: Axes, places, rows: pd.DataFrame, horizontal: bool = False, **style) -> None:
    """Pooled UA in percent with its interval at each of the places, from columns ``ua_low``, ``ua``, ``ua_high``."""
    low, middle, high = (100 * rows[name] for name in ("ua_low", "ua", "ua_high"))
    xy = (middle, places) if horizontal else (places, middle)
    errors = {"xerr" if horizontal else "yerr": np.maximum([middle - low, high - middle], 0)}
    axes.errorbar(*xy, **errors, **{"linestyle": "none", "markersize": 4.5, "elinewidth": 0.8, **style})
