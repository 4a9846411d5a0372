"""Pictures that compare: all systems or all rows of an ablation, the speakers of one system, its reliability."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from akd_toolkit.evaluate.report.plots import COLOURS, LINE_STYLES, MUTED, Paths, drawing
from akd_toolkit.metrics.calibration import NUM_BINS

WIDTH = 4.8  # inches: readable on a phone
LINE = 0.15  # inches, a line of text


def plot_forest(rows: Sequence[Mapping], paths: Paths, label: str, title: str = "", zero: bool = False) -> None:
    """Values with their intervals, one below the other, each below its own text; small ticks are single seeds.

    Arguments
    ---------
    rows
        From the top, each with ``text`` and, unless it is a heading, ``value``, ``low``, ``high``, ``seeds`` (shares),
        ``colour`` and ``hollow``.
    zero
        Whether the values are differences, with a line at 0.
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
    """WA and UA of every speaker with intervals, the best at the top.

    Arguments
    ---------
    table
        Rows of speaker, wa, wa_low, wa_high, ua, ua_low, ua_high; shares.
    """
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

    Arguments
    ---------
    conditions
        Legend -> rows of bin (from 1), confidence, accuracy (shares) and count.
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
