"""Plots of a run and of several systems. Figures never go through pyplot."""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.data.files import written_aside
from akd_toolkit.metrics.calibration import NUM_BINS

DPI = 150
INK, MUTED, GRID = "#22262b", "#5d6670", "#dfe3e8"
# Okabe & Ito 2008 without black and yellow: distinguishable for colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.")  # and where there is no colour
STYLE = {
    **{"font.size": 10, "text.color": INK, "axes.edgecolor": MUTED, "axes.labelcolor": INK},
    **{"xtick.color": INK, "ytick.color": INK, "svg.fonttype": "path", "svg.hashsalt": "akd_toolkit"},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "grid.color": GRID},
}
WIDTH = 4.8  # inches: readable on a phone
LINE = 0.15  # inches, a line of text
Paths = str | Path | Sequence[str | Path]


@contextmanager
def drawing(paths: Paths, width: float, height: float, title: str = "") -> Iterator[Figure]:
    """A figure in the common style, in inches, which is written to ``paths`` by their suffixes when the block ends."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        if title:
            figure.suptitle(textwrap.fill(title, int(10 * width)), fontsize=11, parse_math=False)
        save_figure(figure, paths)


def save_figure(figure: Figure, paths: Paths) -> None:
    """Write a figure of constrained layout into one or several files, by their suffixes; the same bytes every time."""
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches; no label touches the edge
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        # A date inside the file would make two equal pictures differ.
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        with written_aside(path) as aside, matplotlib.rc_context(STYLE):  # the salt of names in an SVG
            figure.savefig(aside, dpi=DPI, metadata=metadata)


def plot_confusion(confusion: np.ndarray, label_order: Sequence[str], paths: Paths, title: str = "") -> None:
    """Confusion matrix [C, C], rows are the truth: percent of the true class, and below it the count."""
    confusion, size = np.asarray(confusion, dtype=float), len(label_order)
    totals = confusion.sum(axis=1, keepdims=True)
    percent = np.divide(100 * confusion, totals, out=np.zeros_like(confusion), where=totals > 0)
    digits = 0 if np.allclose(confusion, confusion.round()) else 1
    side = max(3.4, 0.85 * size + 1.4)
    with drawing(paths, side + 1.0, side, title) as figure:
        axes = figure.subplots()
        image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        for row, column in np.argwhere(confusion > 0):
            text = {"ha": "center", "va": "center", "color": "white" if percent[row, column] > 55 else INK}
            axes.text(column, row - 0.1, f"{percent[row, column]:.0f} %", **text)
            axes.text(column, row + 0.24, f"{confusion[row, column]:.{digits}f}", size=7.5, **text)
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, label_order)) > 8 else {}
        axes.set_xticks(range(size), label_order, parse_math=False, **turned)
        axes.set_yticks(range(size), label_order, parse_math=False)
        axes.set(xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(1, size) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, size) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=2)
        axes.tick_params(which="both", length=0)
        figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.85).outline.set_visible(False)


def plot_training(curves: pd.DataFrame, paths: Paths, title: str = "") -> None:
    """Training curves: one panel per part, one colour per split; single runs as faint lines below their mean.

    ``curves`` has rows of epoch, split, part, value, fold and seed.
    """
    parts, splits = curves["part"].unique(), curves["split"].unique()
    num_columns = 2 if len(parts) == 4 else min(3, len(parts))
    num_rows = math.ceil(len(parts) / num_columns)
    with drawing(paths, max(4.6, 3.4 * num_columns), 2.5 * num_rows + 0.6, title) as figure:
        for axes, part in zip(_panels(figure, parts, num_rows, num_columns), parts):
            for colour, split in zip(COLOURS, splits):
                rows = curves[(curves["part"] == part) & (curves["split"] == split)].sort_values("epoch")
                mean = rows.groupby("epoch")["value"].mean()
                runs = [run for _, run in rows.groupby(["fold", "seed"])]
                for run in runs if len(runs) > 1 else []:
                    axes.plot(run["epoch"], run["value"], color=colour, linewidth=0.7, alpha=0.3)
                axes.plot(mean.index, mean, color=colour, linewidth=1.8, marker="o" if len(mean) == 1 else None)
        lines = [matplotlib.lines.Line2D([], [], color=c, label=split) for c, split in zip(COLOURS, splits)]
        figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)


def plot_trust(weights: pd.DataFrame, paths: Paths, title: str = "") -> None:
    """Mean trust in each teacher (index) for the utterances of each class (columns), as bars that add up to 1."""
    left, places = np.zeros(weights.shape[1]), np.arange(weights.shape[1])
    with drawing(paths, 7.0, 0.42 * weights.shape[1] + 1.7, title) as figure:
        axes = figure.subplots()
        for index, (teacher, row) in enumerate(weights.iterrows()):
            colour = COLOURS[index % len(COLOURS)]
            bars = axes.barh(places, row, left=left, color=colour, edgecolor="white", height=0.72, label=str(teacher))
            labels = [f"{share:.2f}" if share >= 0.06 else "" for share in row]
            axes.bar_label(bars, labels, label_type="center", color="white" if index % 6 < 3 else INK, size=9)
            left += row.to_numpy()
        axes.set_yticks(places, list(weights.columns), parse_math=False)
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), xlabel="mean weight of the teacher")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside lower center", ncols=min(3, len(weights)), frameon=False)


def plot_trust_epochs(trust: pd.DataFrame, paths: Paths, title: str = "") -> None:
    """Mean trust in each teacher over the epochs: one panel per class, one line per teacher.

    A line is the mean over runs, its band goes from the lowest run to the highest; the thin line is equal trust.
    ``trust`` has rows of epoch, teacher, label, weight (a share), fold and seed.
    """
    teachers, labels = trust["teacher"].unique(), trust["label"].unique()
    num_columns = 3 if len(labels) in (5, 6, 9) else min(4, len(labels))
    num_rows = math.ceil(len(labels) / num_columns)
    with drawing(paths, max(4.6, 2.2 * num_columns + 0.6), 2.0 * num_rows + 0.9, title) as figure:
        for axes, label in zip(_panels(figure, labels, num_rows, num_columns), labels):
            for index, teacher in enumerate(teachers):
                rows = trust[(trust["label"] == label) & (trust["teacher"] == teacher)].groupby("epoch")["weight"]
                mean, colour = rows.mean(), COLOURS[index % len(COLOURS)]
                axes.fill_between(mean.index, rows.min(), rows.max(), color=colour, alpha=0.18, linewidth=0)
                axes.plot(mean.index, mean, LINE_STYLES[index % 3], color=colour, linewidth=1.8, label=str(teacher))
            axes.axhline(1 / len(teachers), color=MUTED, linewidth=0.8, label="equal trust")
            axes.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1])
        figure.supylabel("mean weight of the teacher", fontsize=10)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)


def _panels(figure: Figure, titles: Sequence[str], num_rows: int, num_columns: int) -> Sequence[Axes]:
    """A titled panel for each of ``titles``, with the epochs below the last of each column."""
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for index, axes in enumerate(panels):
        if index >= len(titles):
            axes.set_visible(False)
            continue
        axes.set_title(textwrap.fill(str(titles[index]), 24), loc="left", fontsize=10, parse_math=False)
        axes.grid(linewidth=0.8)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        if index + num_columns >= len(titles):
            axes.set_xlabel("epoch")
    return panels


def plot_forest(rows: Sequence[Mapping], paths: Paths, label: str, title: str = "", zero: bool = False) -> None:
    """Values with their intervals, one below the other, each below its own text; small ticks are single seeds.

    ``rows`` are from the top, each with ``text`` and, unless it is a heading, ``value``, ``low``, ``high``, ``seeds``
    (shares), ``colour`` and ``hollow``. ``zero``: they are differences, with a line at 0.
    """
    texts = [textwrap.fill(row["text"], 58) for row in rows]
    heights = [LINE * (text.count("\n") + 1) + (0.22 if "value" in row else 0.1) for text, row in zip(texts, rows)]
    bottoms = np.cumsum(heights)
    with drawing(paths, WIDTH, bottoms[-1] + 1.0, title) as figure:
        axes = figure.subplots()
        for text, row, height, bottom in zip(texts, rows, heights, bottoms):
            at = {"xycoords": ("axes fraction", "data"), "va": "top", "parse_math": False, "size": 8.5}
            axes.annotate(text, (0, bottom - height), weight="normal" if "value" in row else "bold", **at)
            if "value" not in row:
                continue
            middle, colour = bottom - 0.13, row["colour"]
            seeds = 100 * np.asarray(row["seeds"], dtype=float)
            axes.plot([100 * row["low"], 100 * row["high"]], [middle, middle], color=colour, linewidth=1.6)
            axes.plot(seeds, np.full(len(seeds), middle), "|", color=colour, alpha=0.6, markersize=7)
            face = "white" if row["hollow"] else colour
            axes.plot([100 * row["value"]], [middle], "o", color=colour, markerfacecolor=face, markersize=5.5)
        if zero:
            axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
        axes.set(ylim=(bottoms[-1], -0.05), yticks=[], xlabel=label)
        axes.margins(x=0.04)
        axes.grid(axis="x", linewidth=0.8)
        axes.spines["left"].set_visible(False)


def plot_speakers(table: pd.DataFrame, paths: Paths, title: str = "") -> None:
    """WA and UA of every speaker with intervals, the best at the top; ``table`` as ``speaker_scores``."""
    table = table.sort_values("ua", kind="stable", ignore_index=True)
    pitch = 0.3 if len(table) <= 30 else 0.17
    with drawing(paths, WIDTH, pitch * len(table) + 1.5, title) as figure:
        axes = figure.subplots()
        for score, colour, marker, aside in (("ua", COLOURS[0], "o", 0.14), ("wa", COLOURS[1], "s", -0.14)):
            low, high = 100 * table[f"{score}_low"], 100 * table[f"{score}_high"]
            axes.hlines(table.index + aside, low, high, color=colour, linewidth=1.2)
            axes.plot(100 * table[score], table.index + aside, marker, color=colour, markersize=4, label=score.upper())
        axes.set_yticks(table.index, list(map(str, table["speaker"])), parse_math=False)
        axes.tick_params(axis="y", length=0, labelsize=9 if pitch > 0.2 else 7)
        axes.set(ylim=(-0.7, len(table) - 0.3), xlabel="% of the speaker's utterances", ylabel="speaker")
        axes.grid(linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)


def plot_reliability(conditions: Mapping[str, pd.DataFrame], paths: Paths, title: str = "") -> None:
    """Accuracy against confidence, one line per condition, and below it the number of utterances.

    ``conditions``: legend -> rows of bin (from 1), confidence, accuracy (shares) and count.
    """
    with drawing(paths, WIDTH, 4.6, title) as figure:
        axes, below = figure.subplots(2, 1, height_ratios=[3.4, 1], sharex=True)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, label="calibrated")
        for index, (name, bins) in enumerate(conditions.items()):
            bins = bins[bins["count"] > 0]
            colour, dashes = COLOURS[index % len(COLOURS)], LINE_STYLES[index % len(LINE_STYLES)]
            axes.plot(bins["confidence"], bins["accuracy"], dashes, color=colour, linewidth=1.6, label=str(name))
            sizes = 12 + 60 * bins["count"] / bins["count"].max()
            axes.scatter(bins["confidence"], bins["accuracy"], s=sizes, color=colour, linewidth=0)
            below.step((bins["bin"] - 0.5) / NUM_BINS, bins["count"], dashes, where="mid", color=colour, linewidth=1.4)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="accuracy")
        below.set(xlabel="confidence", ylabel="utterances")
        below.set_ylim(bottom=0)
        for panel in (axes, below):
            panel.grid(linewidth=0.8)
        figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
