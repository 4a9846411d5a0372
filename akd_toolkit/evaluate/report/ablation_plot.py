"""Picture of an ablation: what every row is ahead of the row it is compared with, as dots and intervals."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from akd_toolkit.data.files import written_aside
from akd_toolkit.evaluate.report.plots import COLOURS, GRID, INK, MUTED, STYLE

DPI = 300
WIDTH, LEFT, RIGHT = 4.72, 1.85, 0.48  # inches: 120 mm, of which the labels and the column of scores take their part
LINE, GAP, EDGE = 0.135, 0.06, 0.06  # inches: a line of text, between rows, beside the outer text
BAND, SIZE, SMALL = "#eef1f4", 7.5, 6.5  # colour; points
AHEAD, BEHIND = COLOURS[0], COLOURS[1]


def plot_ablation(table: pd.DataFrame, paths: Sequence[str | Path], title: str = "") -> None:
    """Paired differences in pooled UA with their 95 % intervals, grouped, in the order of the table; 120 mm wide.

    A filled dot's interval excludes 0, a hollow one's does not; the small ticks are the single seeds. At the right
    edge stands the pooled UA. A row that is compared with none shows that alone.

    Arguments
    ---------
    table
        As ``write_ablation`` returns it: group, system, against, ua_pooled, ua_ahead, ua_ahead_low, ua_ahead_high and
        ua_by_seed; shares.
    paths
        Files to write, such as ``ablation.png`` and ``ablation.svg``.

    Raises
    ------
    ValueError
        If the table has no row.
    """
    if table.empty:
        raise ValueError("there is no row of the ablation to draw; finish one first.")
    references = [name for name in dict.fromkeys(table["against"]) if name]
    lines = _layout(table, references)
    height = sum(line["height"] for line in lines)
    heading = _wrap(title, WIDTH - 2 * EDGE, SIZE + 1, "bold")
    label = _label(references)
    top, bottom = 0.2 + 0.16 * len(heading), 0.46 + LINE * len(label)
    whole = top + height + bottom
    with matplotlib.rc_context({**STYLE, "font.size": SIZE}):
        figure = Figure(figsize=(WIDTH, whole))
        inside = (WIDTH - LEFT - RIGHT) / WIDTH
        axes = figure.add_axes((LEFT / WIDTH, bottom / whole, inside, height / whole))
        _prepare(axes, table, height)
        axes.set_xlabel("\n".join(label), parse_math=False, size=SIZE, labelpad=2)
        axes.xaxis.label.set_x((0.5 * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT))  # in the middle of the whole picture
        edge = blended_transform_factory(figure.transFigure, axes.transData)  # x of the figure, y of the rows
        _draw_lines(axes, edge, lines, references)
        figure.text(1 - EDGE / WIDTH, 1 - (top - 0.05) / whole, "UA, %", ha="right", size=SMALL, color=MUTED)
        for number, line in enumerate(heading):
            place = 1 - (0.16 * (number + 1) + 0.03) / whole
            figure.text(EDGE / WIDTH, place, line, size=SIZE + 1, weight="bold", parse_math=False)
        figure.legend(handles=_legend(table), loc="lower center", ncols=4, frameon=False, fontsize=SMALL)
        for path in map(Path, paths):
            # A date inside the file would make two equal pictures differ.
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            with written_aside(path) as aside:
                figure.savefig(aside, dpi=DPI, metadata=metadata)


def _layout(table: pd.DataFrame, references: list[str]) -> list[dict]:
    """Bands and rows from the top, each with its wrapped text and its height in inches."""
    lines, group = [], None
    shared = {name: {other for other in rows["against"] if other} for name, rows in table.groupby("group", sort=False)}
    for row in table.to_dict("records"):
        one_reference = len(shared[row["group"]]) == 1 and len(references) > 1
        if row["group"] != group:
            group = row["group"]
            beside = f"against {next(iter(shared[group]))}" if one_reference else ""
            lines += _band(group, beside)
        named = f"against {row['against']}" if row["against"] and len(shared[group]) > 1 else ""
        text, muted = _wrap(row["system"], LEFT - 2 * EDGE, SIZE), _wrap(named, LEFT - 2 * EDGE, SMALL)
        lines.append({"row": row, "text": text, "muted": muted, "height": LINE * len(text + muted) + GAP})
    return lines


def _band(group: str, beside: str) -> list[dict]:
    if not group and not beside:
        return []
    inside = WIDTH - 2 * EDGE
    fits = _width(group, SIZE, "bold") + 0.2 + _width(beside, SMALL) <= inside
    text, below = _wrap(group, inside, SIZE, "bold"), [] if fits else _wrap(beside, inside, SMALL)
    height = LINE * max(1, len(text + below)) + GAP
    return [{"row": None, "text": text, "muted": below, "beside": beside if fits else "", "height": height}]


def _label(references: list[str]) -> list[str]:
    """What the axis shows, in as many lines as it needs; a reference that all rows share is named."""
    against = f"against {references[0]}" if len(references) == 1 else "against the row named"
    return _wrap(f"UA points {against}, 95 % over speakers", WIDTH - 2 * EDGE, SIZE)


def _wrap(text: str, inches: float, size: float, weight: str = "normal") -> list[str]:
    """Lines of at most the given width; a word that is wider than a line is cut."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if _width(joined, size, weight) <= inches:
            lines[-1] = joined
            continue
        lines.append("")
        for letter in word:
            if _width(lines[-1] + letter, size, weight) > inches:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def _width(text: str, size: float, weight: str = "normal") -> float:
    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72 if text else 0.0


def _prepare(axes: Axes, table: pd.DataFrame, height: float) -> None:
    shown = [table[name].astype(float) for name in ("ua_ahead", "ua_ahead_low", "ua_ahead_high")]
    seeds = [np.asarray(values, dtype=float) for values in table["ua_by_seed"]]
    points = 100 * np.concatenate([[0.0], *shown, *seeds])
    low, high = np.nanmin(points), np.nanmax(points)
    room = 0.05 * max(high - low, 1.0)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(height, 0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if abs(value) > 1e-9 else "0")
    axes.tick_params(axis="x", length=2, pad=1.5, labelsize=SMALL)
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_lines(axes: Axes, edge, lines: list[dict], references: list[str]) -> None:
    top = 0.0
    left, right = EDGE / WIDTH, 1 - EDGE / WIDTH
    for line in lines:
        below = top + line["height"]
        if line["row"] is None:
            band = Rectangle((0, top + 0.01), 1, line["height"] - 0.02, transform=edge, color=BAND, linewidth=0)
            axes.add_patch(band).set(clip_on=False, zorder=3)  # above the grid
            axes.text(right, _middle(top, 0), line["beside"], ha="right", **_text(edge, SMALL, MUTED))
        else:
            middle = (top + below) / 2
            _draw_row(axes, line["row"], middle, references)
            score = f"{100 * line['row']['ua_pooled']:.1f}"
            axes.text(right, middle, score, ha="right", **_text(edge, SIZE, INK))
        weight = "bold" if line["row"] is None else "normal"
        for number, text in enumerate(line["text"]):
            axes.text(left, _middle(top, number), text, weight=weight, **_text(edge, SIZE, INK))
        for number, text in enumerate(line["muted"], start=len(line["text"])):
            axes.text(left, _middle(top, number), text, **_text(edge, SMALL, MUTED))
        top = below


def _middle(top: float, number: int) -> float:
    """Where the numbered line of text stands that begins below ``top``, in inches."""
    return top + GAP / 2 + LINE * (number + 0.5)


def _text(transform, size: float, colour: str) -> dict:
    return {
        "transform": transform,
        "va": "center_baseline",
        "size": size,
        "color": colour,
        "parse_math": False,
        "zorder": 4,
    }


def _draw_row(axes: Axes, row: dict, middle: float, references: list[str]) -> None:
    if np.isnan(row["ua_ahead"]):
        told = "not compared yet" if row["against"] else "reference" if row["system"] in references else ""
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        if told:
            axes.text(0, middle, told, ha="center", bbox=white, **_text(axes.transData, SMALL, MUTED))
        return
    value, low, high = (100 * row[name] for name in ("ua_ahead", "ua_ahead_low", "ua_ahead_high"))
    colour = _colour(low, high)
    seeds = 100 * np.asarray(row["ua_by_seed"], dtype=float)
    axes.plot(seeds, np.full(len(seeds), middle), "|", color=INK, alpha=0.45, markersize=4.5, markeredgewidth=0.7)
    axes.plot([low, high], [middle, middle], color=colour, linewidth=1.4, solid_capstyle="butt")
    face = "white" if colour == MUTED else colour
    axes.plot([value], [middle], "o", color=colour, markerfacecolor=face, markersize=4.2, markeredgewidth=1.1)


def _colour(low: float, high: float) -> str:
    return AHEAD if low > 0 else BEHIND if high < 0 else MUTED


def _legend(table: pd.DataFrame) -> list[Line2D]:
    """One handle for each kind of mark that is in the picture."""
    limits = table[["ua_ahead_low", "ua_ahead_high"]].dropna().itertuples(index=False)
    colours = {_colour(low, high) for low, high in limits}
    told = {AHEAD: "ahead: excludes 0", BEHIND: "behind: excludes 0", MUTED: "includes 0"}
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=4, linewidth=1.4, label=label)
        for colour, label in told.items()
        if colour in colours
    ]
    for handle in handles:
        handle.set_markerfacecolor("white" if handle.get_color() == MUTED else handle.get_color())
    if any(len(values) for values in table["ua_by_seed"]):
        handles.append(Line2D([], [], color=INK, alpha=0.45, marker="|", linewidth=0, label="one seed"))
    return handles
