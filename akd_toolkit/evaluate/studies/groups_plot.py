"""Picture of the groups study: UA of every speaker, women and men apart."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from akd_toolkit.data.files import written_aside
from akd_toolkit.evaluate.report.plots import COLOURS, DPI, GRID, MUTED, STYLE

COLOUR = {"women": COLOURS[1], "men": COLOURS[0], "": MUTED}
MARKER = {"women": "o", "men": "s", "": "D"}


def plot_groups(speakers: pd.DataFrame, paths: Sequence[str | Path]) -> None:
    """One panel a system, one dot a speaker in the order of UA, with the interval over the speaker's utterances.

    Arguments
    ---------
    speakers
        system, speaker, group (``women``, ``men`` or empty), ua, ua_low, ua_high; shares.
    paths
        Files to write, such as ``plot.png`` and ``plot.svg``.
    """
    systems = list(dict.fromkeys(speakers["system"]))
    longest = speakers.groupby("system").size().max()
    with matplotlib.rc_context(STYLE):
        size = (max(4.6, 3.4 * len(systems)), 0.9 + 0.2 * longest)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(systems), squeeze=False, sharex=True)[0]
        for axes, system in zip(panels, systems):
            rows = speakers[speakers["system"] == system].sort_values("ua").reset_index(drop=True)
            for group, of_group in rows.groupby("group"):
                values = 100 * of_group[["ua_low", "ua", "ua_high"]].to_numpy()
                errors = np.maximum([values[:, 1] - values[:, 0], values[:, 2] - values[:, 1]], 0)
                shape = {"color": COLOUR[group], "marker": MARKER[group], "linestyle": "none", "markersize": 5}
                axes.errorbar(values[:, 1], of_group.index, xerr=errors, elinewidth=0.9, **shape)
            axes.set_yticks(range(len(rows)), rows["speaker"], parse_math=False, fontsize=8 if len(rows) > 15 else 10)
            axes.set_title(system, loc="left", fontsize=10, parse_math=False, wrap=True)
            axes.set_xlabel("UA, %")
            axes.set_xlim(0, 100)
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.grid(axis="x", color=GRID, linewidth=0.8)
            axes.tick_params(axis="y", length=0)
            axes.set_axisbelow(True)
            axes.spines[["top", "right", "left"]].set_visible(False)
        panels[0].set_ylabel("speaker")
        groups = [group for group in ("women", "men") if group in set(speakers["group"])]
        marks = [Line2D([], [], color=COLOUR[g], marker=MARKER[g], linestyle="none", label=g) for g in groups]
        if marks:
            figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False)
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
        for path in map(Path, paths):
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            with written_aside(path) as aside:
                figure.savefig(aside, dpi=DPI, metadata=metadata)
