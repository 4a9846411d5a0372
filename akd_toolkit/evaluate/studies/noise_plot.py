"""Picture of the noise study: UA over the SNR, and beside it rooms and telephones."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from akd_toolkit.data.files import written_aside
from akd_toolkit.evaluate.report.plots import COLOURS, DPI, GRID, INK, MUTED, STYLE
from akd_toolkit.evaluate.studies.disturbances import CLEAN, CODECS, NOISES, ROOM

MARKERS = ("o", "s", "^", "D")
ROW_INCHES, WIDTH_INCHES = 2.7, 8.2


def plot_noise(table: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """One row of panels a system: a line a kind of noise over the SNR, then rooms, then telephones.

    Dots are the UA pooled over the outer tests, bars their 95 % intervals over speakers, the thin line the clean level.

    Arguments
    ---------
    table
        As ``noise_study`` writes it: system, kind, level, ua_pooled, ua_low, ua_high; shares.
    paths
        Files to write, such as ``plot.png`` and ``plot.svg``.
    """
    systems = list(dict.fromkeys(table["system"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * len(systems) + 0.7), layout="constrained")
        panels = figure.subplots(len(systems), 3, squeeze=False, sharey=True, width_ratios=(3, 1.4, 1.4))
        for row, system in zip(panels, systems):
            _draw_system(row, table[table["system"] == system])
            row[0].set_title(system, loc="left", fontsize=10, parse_math=False)
            row[0].set_ylabel("UA pooled, %")
        panels[0, 1].set_title("room", loc="left", fontsize=10)
        panels[0, 2].set_title("telephone", loc="left", fontsize=10)
        lines, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
        for path in map(Path, paths):
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            with written_aside(path) as aside:
                figure.savefig(aside, dpi=DPI, metadata=metadata)


def _draw_system(panels: Sequence[Axes], table: pd.DataFrame) -> None:
    clean = table[table["kind"] == CLEAN]["ua_pooled"].iloc[0]
    noisy, room, telephone = panels
    snrs = sorted(table[table["kind"].isin(NOISES)]["level"].unique(), reverse=True)
    for index, kind in enumerate(NOISES):
        rows = table[table["kind"] == kind].sort_values("level", ascending=False)
        shift = 0.25 * (index - (len(NOISES) - 1) / 2)  # dB, so that the intervals do not hide each other
        _dots(noisy, shift - rows["level"], rows, COLOURS[index], MARKERS[index], kind, line="-")
    noisy.set_xticks([-snr for snr in snrs], [f"{snr:g}" for snr in snrs])
    noisy.set_xlabel("SNR, dB")
    rooms = table[table["kind"] == ROOM].sort_values("level")
    _dots(room, np.arange(len(rooms)), rows=rooms, line="-")
    room.set_xticks(range(len(rooms)), [f"{level:g}" for level in rooms["level"]])
    room.set_xlabel("T60, s")
    codecs = table.set_index("kind").loc[list(CODECS)]
    _dots(telephone, np.arange(len(codecs)), codecs)
    telephone.set_xticks(range(len(codecs)), list(CODECS))
    for axes in panels:
        axes.axhline(100 * clean, color=MUTED, linewidth=1.0, label=CLEAN, zorder=1)
        axes.margins(x=0.06 if axes is noisy else 0.25)
        axes.set_ylim(0, 100)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)


def _dots(axes: Axes, places, rows: pd.DataFrame, colour: str = INK, marker: str = "o", label: str = "", line="none"):
    values = 100 * rows[["ua_low", "ua_pooled", "ua_high"]].to_numpy()
    errors = [values[:, 1] - values[:, 0], values[:, 2] - values[:, 1]]
    shape = {"color": colour, "marker": marker, "markersize": 4.5, "linestyle": line, "linewidth": 1.6}
    axes.errorbar(places, values[:, 1], np.maximum(errors, 0), **shape, elinewidth=0.8, label=label or None)
