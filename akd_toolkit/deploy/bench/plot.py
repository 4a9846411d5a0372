"""Latency of every measured row as one picture."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.bench.run import Bench
from akd_toolkit.deploy.bench.table import bench_frame, significant
from akd_toolkit.evaluate.report.plots import COLOURS, DPI, GRID, STYLE


def plot_latency(bench: Bench, path: str | Path) -> bool:
    """Median latency at batch 1 as a dot on a logarithmic axis, a line to p95; False where nothing was measured.

    One colour a model, in the order of the table.
    """
    frame = bench_frame(bench)
    frame = frame[frame["p50_ms"].notna()] if len(frame) else frame
    if not len(frame):
        return False
    names = [f"{row['model']}, {row['run by']}, {row['threads']} thr." for _, row in frame.iterrows()]
    models = list(dict.fromkeys(frame["model"]))
    colours = [COLOURS[models.index(model) % len(COLOURS)] for model in frame["model"]]
    places = range(len(frame))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 0.7 + 0.3 * len(frame)), layout="constrained")
        axes = figure.subplots()
        axes.hlines(places, frame["p50_ms"], frame["p95_ms"], color=colours, linewidth=2, zorder=2)
        axes.scatter(frame["p50_ms"], places, color=colours, s=45, zorder=3)
        for place, p50, p95 in zip(places, frame["p50_ms"], frame["p95_ms"], strict=True):
            axes.text(max(p50, p95) * 1.15, place, significant(p50), va="center", fontsize=9)
        axes.set_xscale("log")
        axes.set_xlim(frame["p50_ms"].min() / 2, frame["p95_ms"].max() * 3)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(places, names, fontsize=9)
        axes.invert_yaxis()
        axes.set_xlabel(
            f"ms for a window of {bench.options['window_s']:g} s, batch 1 (dot and figure: median; line to p95)\n"
            f"{bench.machine['cpu']}, {bench.machine['cores']} cores"
        )
        axes.grid(color=GRID, zorder=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        with written_aside(Path(path)) as aside:
            figure.savefig(aside, dpi=DPI)
    return True
