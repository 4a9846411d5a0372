"""Pictures of a paper that ``report/plots.py`` does not draw: reliability, every speaker, all systems side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.evaluate.report.plots import COLOURS, GRID, LINE_STYLES, MUTED, STYLE, save_figure, write_title
from akd_toolkit.evaluate.report.summary import label_indices, utterance_table
from akd_toolkit.metrics.calibration import NUM_BINS
from akd_toolkit.metrics.intervals import speaker_interval
from akd_toolkit.metrics.scores import ua, wa

WIDTH = 4.8  # inches: readable on a phone without turning it


def plot_reliability(conditions: Mapping[str, pd.DataFrame], paths: Sequence[str | Path], title: str = "") -> None:
    """Accuracy against confidence, one line a condition, and how many utterances there are below.

    Arguments
    ---------
    conditions
        What the legend says -> rows of bin (from 1), confidence, accuracy (shares) and count, as ``reliability`` of
        the calibration study gives them; bins without an utterance are left out.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes, below = figure.subplots(2, 1, height_ratios=[3.4, 1], sharex=True)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, label="calibrated")
        for index, (name, bins) in enumerate(conditions.items()):
            bins = bins[bins["count"] > 0]
            colour, dashes = COLOURS[index % len(COLOURS)], LINE_STYLES[index % len(LINE_STYLES)]
            axes.plot(bins["confidence"], bins["accuracy"], dashes, color=colour, linewidth=1.6, label=str(name))
            sizes = 12 + 60 * bins["count"] / bins["count"].max()
            axes.scatter(bins["confidence"], bins["accuracy"], s=sizes, color=colour, linewidth=0)
            edges = (bins["bin"] - 0.5) / NUM_BINS
            below.step(edges, bins["count"], dashes, where="mid", color=colour, linewidth=1.4)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel("accuracy")
        below.set_xlabel("confidence")
        below.set_ylabel("utterances")
        below.set_ylim(bottom=0)
        for one in (axes, below):
            _plain(one)
        figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
        write_title(figure, title)
        save_figure(figure, paths)


def speaker_scores(scores: pd.DataFrame, label_order: Sequence[str]) -> pd.DataFrame:
    """WA and UA of every speaker, means over seeds, with 95 % intervals over the speaker's own utterances.

    The interval takes the speaker's utterances as independent: it describes this speaker's score, and nothing of other
    speakers. Columns: speaker, utterances, wa, wa_low, wa_high, ua, ...
    """
    utterances = utterance_table(scores, list(label_order))
    rows = []
    for speaker, mine in utterances.groupby("speaker"):
        truth = label_indices(mine["truth"], list(label_order))
        totals = np.eye(len(label_order))[truth]  # [N, C]: each utterance is a unit of the interval
        hits = totals * mine["right"].to_numpy()[:, None]
        row = {"speaker": speaker, "utterances": len(mine)}
        for score in ("wa", "ua"):
            row |= speaker_interval(hits, totals, score).columns(score)
        rows.append(row)
    return pd.DataFrame(rows)


def plot_speakers(table: pd.DataFrame, paths: Sequence[str | Path], title: str = "") -> None:
    """WA and UA of every speaker with intervals, the best at the top.

    Arguments
    ---------
    table
        As ``speaker_scores`` returns it.
    """
    table = table.sort_values("ua", kind="stable", ignore_index=True)
    with matplotlib.rc_context(STYLE):
        pitch = 0.3 if len(table) <= 30 else 0.17
        figure = Figure(figsize=(WIDTH, pitch * len(table) + 1.5), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(table))
        for score, colour, marker, aside in (("ua", COLOURS[0], "o", 0.14), ("wa", COLOURS[1], "s", -0.14)):
            low, high = 100 * table[f"{score}_low"], 100 * table[f"{score}_high"]
            axes.hlines(places + aside, low, high, color=colour, linewidth=1.2)
            axes.plot(100 * table[score], places + aside, marker, color=colour, markersize=4, label=score.upper())
        axes.set_yticks(places, [str(name) for name in table["speaker"]], parse_math=False)
        axes.tick_params(axis="y", length=0, labelsize=9 if pitch > 0.2 else 7)
        axes.set_ylim(-0.7, len(table) - 0.3)
        axes.set_xlabel("% of the speaker's utterances")
        axes.set_ylabel("speaker")
        _plain(axes)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        write_title(figure, title)
        save_figure(figure, paths)


def plot_forest(systems: Sequence[dict], paths: Sequence[str | Path], title: str = "") -> None:
    """Pooled UA of every system with its 95 % interval over speakers; small ticks are the single seeds.

    Arguments
    ---------
    systems
        In order from the top, each with ``name``, ``ua``, ``low``, ``high`` (shares), ``seeds`` (a share each) and
        ``teacher`` (drawn hollow).
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.52 * len(systems) + 1.2), layout="constrained")
        axes = figure.subplots()
        for place, system in enumerate(systems):
            colour = MUTED if system["teacher"] else COLOURS[0]
            low, value, high = (100 * system[name] for name in ("low", "ua", "high"))
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
            seeds = 100 * np.asarray(system["seeds"], dtype=float)
            axes.plot(seeds, np.full(len(seeds), place), "|", color=colour, alpha=0.6, markersize=7)
            face = "white" if system["teacher"] else colour
            axes.plot([value], [place], "o", color=colour, markerfacecolor=face, markersize=5.5)
            words = f"{system['name']}   {value:.1f} [{low:.1f}, {high:.1f}]"
            axes.annotate(words, (0, place - 0.3), xycoords=("axes fraction", "data"), size=8.5, parse_math=False)
        axes.set_ylim(len(systems) - 0.5, -0.75)
        axes.set_yticks([])
        axes.margins(x=0.04)
        axes.set_xlabel("pooled UA, % [95 % over speakers]")
        _plain(axes)
        axes.spines["left"].set_visible(False)
        write_title(figure, title)
        save_figure(figure, paths)


def seed_scores(scores: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Seed -> its pooled WA and UA."""
    return {
        int(seed): {"wa": wa(run["truth"], run["prediction"]), "ua": ua(run["truth"], run["prediction"])}
        for seed, run in scores.groupby("seed")
    }


def _plain(axes: Axes) -> None:
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
