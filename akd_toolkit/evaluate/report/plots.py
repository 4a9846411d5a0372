"""Pictures of a run: confusion matrix, training curves, trust in each teacher. Drawn without a display.

Figures are built as objects, never through pyplot, so no window system is needed and no figure is kept alive.
"""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.data.files import written_aside

DPI = 150
INK, MUTED, GRID = "#22262b", "#5d6670", "#dfe3e8"
# Okabe & Ito 2008 without black and yellow: told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DARK = COLOURS[:3]  # carry white figures
LINE_STYLES = ("-", "--", "-.")  # and where there is no colour
STYLE = {
    **{"font.size": 10, "text.color": INK, "axes.edgecolor": MUTED, "axes.labelcolor": INK},
    **{"xtick.color": INK, "ytick.color": INK, "svg.fonttype": "path", "svg.hashsalt": "akd_toolkit"},
}


def plot_confusion(
    confusion: np.ndarray, label_order: Sequence[str], paths: Sequence[str | Path], title: str = ""
) -> None:
    """Confusion matrix: colour and large figure are percent of the true class, the small figure is the count.

    Arguments
    ---------
    paths
        Files to write, such as ``confusion_matrix.png`` and ``confusion_matrix.svg``.

    Shape
    -----
    confusion: [C, C], rows are the truth; counts, or mean counts over seeds. A row without utterances stays
    empty.

    Raises
    ------
    ValueError
        If the matrix does not fit ``label_order``.
    """
    confusion = np.asarray(confusion, dtype=float)
    size = len(label_order)
    if confusion.shape != (size, size):
        raise ValueError(
            f"confusion must be [{size}, {size}] for {size} labels, got {list(confusion.shape)}; "
            "pass the label_order it was counted with."
        )
    totals = confusion.sum(axis=1, keepdims=True)
    percent = np.divide(100 * confusion, totals, out=np.zeros_like(confusion), where=totals > 0)
    with matplotlib.rc_context(STYLE):
        side = max(3.4, 0.85 * size + 1.4)
        figure = Figure(figsize=(side + 1.0, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        _write_cells(axes, confusion, percent, totals)
        rotation = 45 if max(map(len, label_order)) > 8 else 0
        turned = {"rotation": rotation, "ha": "right", "rotation_mode": "anchor"} if rotation else {}
        axes.set_xticks(range(size), label_order, parse_math=False, **turned)
        axes.set_yticks(range(size), label_order, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(1, size) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, size) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=2)
        axes.tick_params(which="minor", length=0)
        bar = figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.85)
        bar.outline.set_visible(False)
        write_title(figure, title)
        save_figure(figure, paths)


def plot_training(curves: pd.DataFrame, path: str | Path | Sequence[str | Path], title: str = "") -> None:
    """Training curves: one panel a part, one colour a split; several runs as faint lines and their mean.

    Arguments
    ---------
    curves
        Rows of metrics.csv: epoch, split, part, value, and optionally fold and seed, which name the run.

    Raises
    ------
    ValueError
        If a column is missing or there is no row.
    """
    missing = [name for name in ("epoch", "split", "part", "value") if name not in curves.columns]
    if missing or curves.empty:
        raise ValueError(
            "training curves need at least one row with epoch, split, part and value, got "
            f"{len(curves)} rows of {', '.join(curves.columns)}."
        )
    parts, splits = list(dict.fromkeys(curves["part"])), list(dict.fromkeys(curves["split"]))
    num_columns = 2 if len(parts) == 4 else min(3, len(parts))
    num_rows = math.ceil(len(parts) / num_columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 3.4 * num_columns), 2.5 * num_rows + 0.6), layout="constrained")
        panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
        for axes, part in zip(panels, parts, strict=False):  # the last panels may stay empty
            _draw_part(axes, curves[curves["part"] == part], splits)
            axes.set_title(part, loc="left", fontsize=10, parse_math=False)
        for index, axes in enumerate(panels):
            if index >= len(parts):
                axes.set_visible(False)
            elif index + num_columns >= len(parts):
                axes.set_xlabel("epoch")
        lines = [
            matplotlib.lines.Line2D([], [], color=COLOURS[index % len(COLOURS)], label=str(split))
            for index, split in enumerate(splits)
        ]
        figure.legend(handles=lines, loc="outside lower center", ncols=min(4, len(splits)), frameon=False)
        write_title(figure, title)
        save_figure(figure, path)


def plot_teacher_weights(weights: pd.DataFrame, path: str | Path | Sequence[str | Path], title: str = "") -> None:
    """Mean trust in each teacher for the utterances of each class, as bars that add up to 1.

    Arguments
    ---------
    weights
        One row for each teacher (the index holds the names), one column for each class in label order;
        shares.

    Raises
    ------
    ValueError
        If a weight is missing or negative, or the weights of a class do not sum to 1.
    """
    values = weights.to_numpy(dtype=float)
    if values.size == 0 or not (values >= 0).all() or np.abs(values.sum(axis=0) - 1).max() > 1e-3:
        raise ValueError("teacher weights must be shares that sum to 1 over the teachers of each class.")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.42 * values.shape[1] + 1.7), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(values.shape[1])
        for index, (name, row) in enumerate(zip(weights.index, values, strict=True)):
            colour = COLOURS[index % len(COLOURS)]
            axes.barh(range(len(row)), row, left=left, color=colour, edgecolor="white", height=0.72, label=str(name))
            for place, (start, share) in enumerate(zip(left, row, strict=True)):
                if share >= 0.06:
                    axes.text(
                        start + share / 2,
                        place,
                        f"{share:.2f}",
                        ha="center",
                        va="center",
                        color="white" if colour in DARK else INK,
                        size=9,
                    )
            left += row
        axes.set_yticks(range(values.shape[1]), list(weights.columns), parse_math=False)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("mean weight of the teacher")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=min(3, len(weights)), frameon=False)
        write_title(figure, title)
        save_figure(figure, path)


def plot_teacher_weights_epochs(
    weights: pd.DataFrame, path: str | Path | Sequence[str | Path], title: str = ""
) -> None:
    """Mean trust in each teacher over the epochs: one panel a class, one line a teacher.

    A line is the mean over the runs, its band reaches from the lowest run to the highest; the thin line is equal trust.

    Arguments
    ---------
    weights
        Rows of epoch, teacher, label, weight (a share), and optionally fold and seed, which name the run. Panels and
        lines stand in the order in which labels and teachers first occur.

    Raises
    ------
    ValueError
        If a column is missing, there are fewer than two epochs, or a weight is no share.
    """
    missing = [name for name in ("epoch", "teacher", "label", "weight") if name not in weights.columns]
    if missing or weights["epoch"].nunique() < 2 or not weights["weight"].between(0, 1).all():
        raise ValueError(
            "teacher weights over epochs need epoch, teacher, label and weight in [0, 1] of at least two epochs, got "
            f"{len(weights)} rows of {', '.join(weights.columns)}."
        )
    teachers, labels = weights["teacher"].unique(), weights["label"].unique()
    num_columns = min(4, len(labels)) if len(labels) not in (5, 6, 9) else 3
    num_rows = math.ceil(len(labels) / num_columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 2.2 * num_columns + 0.6), 2.0 * num_rows + 0.9), layout="constrained")
        panels = figure.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
        for index, axes in enumerate(panels):
            if index >= len(labels):
                axes.set_visible(False)
                continue
            lines = _draw_trust(axes, weights[weights["label"] == labels[index]], teachers)
            axes.set_title(textwrap.fill(str(labels[index]), 24), loc="left", fontsize=10, parse_math=False)
            if index >= (num_rows - 1) * num_columns:
                axes.set_xlabel("epoch")
        figure.supylabel("mean weight of the teacher", fontsize=10)
        figure.legend(handles=lines, loc="outside lower center", ncols=min(3, len(lines)), frameon=False)
        write_title(figure, title)
        save_figure(figure, path)


def _write_cells(axes: Axes, confusion: np.ndarray, percent: np.ndarray, totals: np.ndarray) -> None:
    whole = np.allclose(confusion, confusion.round())
    for row, column in np.ndindex(confusion.shape):
        if totals[row, 0] == 0 or confusion[row, column] == 0:
            continue
        colour = "white" if percent[row, column] > 55 else INK
        counted = f"{confusion[row, column]:.0f}" if whole else f"{confusion[row, column]:.1f}"
        axes.text(
            column,
            row - 0.1,
            f"{percent[row, column]:.0f} %",
            ha="center",
            va="center",
            color=colour,
            size=10,
        )
        axes.text(column, row + 0.24, counted, ha="center", va="center", color=colour, size=7.5)


def _draw_part(axes: Axes, curves: pd.DataFrame, splits: list[str]) -> None:
    run = [name for name in ("fold", "seed") if name in curves.columns]
    for index, split in enumerate(splits):
        rows = curves[curves["split"] == split].sort_values("epoch")
        if rows.empty:
            continue
        colour = COLOURS[index % len(COLOURS)]
        runs = [group for _, group in rows.groupby(run)] if run else [rows]
        if len(runs) > 1:
            for one in runs:
                axes.plot(one["epoch"], one["value"], color=colour, linewidth=0.7, alpha=0.3)
        mean = rows.groupby("epoch")["value"].mean()
        axes.plot(mean.index, mean, color=colour, linewidth=1.8, marker="o" if len(mean) == 1 else None)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _draw_trust(axes: Axes, weights: pd.DataFrame, teachers: Sequence[str]) -> list:
    """One class; returns what the legend shows."""
    equal = axes.axhline(1 / len(teachers), color=MUTED, linewidth=0.8, label="equal trust")
    lines = []
    for index, teacher in enumerate(teachers):
        by_epoch = weights[weights["teacher"] == teacher].groupby("epoch")["weight"]
        mean, colour = by_epoch.mean(), COLOURS[index % len(COLOURS)]
        axes.fill_between(mean.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.18, linewidth=0)
        dashes = LINE_STYLES[index % len(LINE_STYLES)]
        lines += axes.plot(mean.index, mean, dashes, color=colour, linewidth=1.8, label=str(teacher))
    axes.set_ylim(-0.03, 1.03)  # all of a line along the edge
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.margins(x=0.02)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    return [*lines, equal]


def write_title(figure: Figure, title: str) -> None:
    """The title above a figure, in as many lines as it needs."""
    if title:
        num_letters = int(10 * figure.get_figwidth())  # of 11 points, in one line
        figure.suptitle(textwrap.fill(title, num_letters), fontsize=11, parse_math=False)


def save_figure(figure: Figure, paths: str | Path | Sequence[str | Path]) -> None:
    """Write a figure of constrained layout into one or several files, by their suffixes; the same bytes every time."""
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches; no label touches the edge
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        # A date inside the file would make two equal pictures differ.
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        with written_aside(path) as aside:
            figure.savefig(aside, dpi=DPI, metadata=metadata)
