"""Rows of a benchmark as one data frame, as a Markdown table and as a plot."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.deploy.bench.measures import busy_warning, percentile_ms
from akd_toolkit.evaluate.report.plots import COLOURS, drawing
from akd_toolkit.evaluate.report.tables import count, frame_table

WHOLE, FEATURES = "whole", "features"
ROUNDS = 5  # turns in which every row gets its share of the seconds
COLUMNS = [
    *("model", "run by", "threads", "parameters", "gflops", "file_mb", "p50_ms", "p95_ms", "min_ms", "rtf"),
    *("features_share", "windows_per_s", "best_batch", "memory_mb", "mj_per_window", "times_first", "calls", "note"),
]
HOW = """\
A window is {window_s:g} s of generated speech; input is the waveform, so features are included. p50, p95, RTF (p50 /
window) and mJ are at batch 1, windows/s at the best batch of those that fit in the time. × first: p50 / p50 of the
first measured row. Every row has its own process with fixed threads; rows are interleaved in {rounds} rounds, with
{seconds:g} s for each row and batch size. GFLOPs: matrix products and convolutions, front end included; a
multiplication with its addition is two. features: p50 of the front end alone / p50. memory: rise of the host process
over bare Python with NumPy, including the library that runs the model (and a compiler). mJ: of the whole package or
board."""


@dataclass
class Row:
    """One model on one backend with a number of threads; ``reason`` says why nothing was measured."""

    model: str = ""
    backend: str = ""
    threads: int = 1
    loader: str = ""  # what its worker calls, on this path
    path: str = ""
    features: tuple[str, str] | None = None  # (loader, path) of the front end alone, where it can be run alone
    on_gpu: bool = False
    parameters: int | None = None
    gflops: float | None = None  # of one window
    megabytes: float | None = None
    reason: str = ""
    note: str = ""
    memory_mb: float | None = None
    joules: float | None = None  # of all timed calls at batch 1
    # (WHOLE or FEATURES, batch) -> seconds of each call
    seconds: dict = field(default_factory=lambda: defaultdict(list), init=False)

    @property
    def title(self) -> str:
        return f"{self.model}, {self.backend}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def measured(self) -> bool:
        return not self.reason and bool(self.seconds[WHOLE, 1])

    def numbers(self, window_s: float) -> dict:
        """The columns of the table, except × first; empty where there is none."""
        known = {
            **{"model": self.model, "run by": self.backend, "threads": self.threads, "parameters": self.parameters},
            **{"gflops": self.gflops, "file_mb": self.megabytes, "note": self.reason or self.note},
        }
        if not self.measured:
            return known
        p50 = {key: percentile_ms(taken, 50) for key, taken in self.seconds.items() if taken}
        alone, calls = p50[WHOLE, 1], self.seconds[WHOLE, 1]
        rates = {batch: 1e3 * batch / taken for (what, batch), taken in p50.items() if what == WHOLE}
        best = max(rates, key=rates.get)
        return known | {
            "p50_ms": alone,
            "p95_ms": percentile_ms(calls, 95),
            "min_ms": 1e3 * min(calls),
            "rtf": alone / 1e3 / window_s,
            "features_share": p50[FEATURES, 1] / alone if (FEATURES, 1) in p50 else None,
            "windows_per_s": rates[best],
            "best_batch": best,
            "memory_mb": self.memory_mb,
            "mj_per_window": None if self.joules is None else 1e3 * self.joules / len(calls),
            "calls": len(calls),
        }


@dataclass
class Bench:
    """Rows, the machine (``describe_machine``), the options, and whether Ctrl-C ended the measurement early."""

    rows: list[Row]
    machine: dict
    options: dict = field(default_factory=dict)
    stopped: bool = False


def bench_frame(bench: Bench) -> pd.DataFrame:
    """One row of plain numbers for each row of the benchmark, empty where there is none."""
    frame = pd.DataFrame([row.numbers(bench.options["window_s"]) for row in bench.rows], columns=COLUMNS)
    measured = frame["p50_ms"].dropna()
    if len(measured):
        frame["times_first"] = frame["p50_ms"] / measured.iloc[0]
    return frame


def bench_table(bench: Bench) -> str:
    """The Markdown table."""
    frame = bench_frame(bench)

    def text(column: str, form=None) -> pd.Series:
        return frame[column].astype(object).map(form or significant, na_action="ignore")

    cells = {
        **{name: frame[name] for name in ("model", "run by", "threads")},
        "parameters": text("parameters", lambda number: count(int(number))),
        **{name: text(column) for name, column in (("GFLOPs", "gflops"), ("MB", "file_mb"), ("p50 ms", "p50_ms"))},
        **{name: text(column) for name, column in (("p95 ms", "p95_ms"), ("× first", "times_first"), ("RTF", "rtf"))},
        "features": text("features_share", lambda share: f"{100 * share:.0f} %"),
        "windows/s (batch)": text("windows_per_s") + text("best_batch", " ({:.0f})".format),
        "memory MB": text("memory_mb", "{:.0f}".format),
        "mJ/window": text("mj_per_window").where(frame["mj_per_window"].notna() | frame["p50_ms"].isna(), "unknown"),
        "note": frame["note"],
    }
    return frame_table(pd.DataFrame(cells).astype(object).fillna("-"), left=2)


def significant(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):.12f}".rstrip("0").rstrip(".")


def bench_markdown(bench: Bench) -> str:
    """The whole page: the machine, the table, and how it was measured."""
    machine = bench.machine
    warning = busy_warning(machine["load_at_start"], machine["cores"])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    parts = [
        f"# Speed on {machine['cpu']}, {machine['cores']} cores",
        f"{machine['system']}; {machine['memory_gb']} GB; {' '.join(machine['instructions'])}; "
        f"GPU: {machine['gpu'] or 'none'}; load before: {machine['load_at_start']}; {machine['date']}.\n{versions}.",
        warning and f"**{warning}**",
        bench.stopped and "**Stopped early: fewer calls than requested.**",
        bench_table(bench),
        HOW.format(rounds=ROUNDS, **bench.options),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def write_bench(bench: Bench, folder: str | Path) -> Path:
    """Write ``bench.md``, ``bench.csv``, ``bench.png`` and ``environment.json``, and return the folder."""
    folder = Path(folder)
    with written_aside(folder / "bench.csv") as aside:
        bench_frame(bench).to_csv(aside, index=False)
    environment = {**bench.machine, "options": bench.options, "stopped": bench.stopped}
    write_text_aside(folder / "environment.json", json.dumps(environment, indent=2, ensure_ascii=False) + "\n")
    write_text_aside(folder / "bench.md", bench_markdown(bench))
    plot_latency(bench, folder / "bench.png")
    return folder


def plot_latency(bench: Bench, path: Path) -> None:
    """Median latency at batch 1 as a dot on a logarithmic axis with a line to p95; nothing if none was measured."""
    frame = bench_frame(bench).dropna(subset="p50_ms")
    if frame.empty:
        return
    names = frame["model"] + ", " + frame["run by"] + ", " + frame["threads"].astype(str) + " thr."
    colours = [COLOURS[index % len(COLOURS)] for index in pd.factorize(frame["model"])[0]]
    places = range(len(frame))
    with drawing(path, 9, 0.7 + 0.3 * len(frame)) as figure:
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
            f"ms for a window of {bench.options['window_s']:g} s, batch 1 (dot and number: median; line to p95)\n"
            f"{bench.machine['cpu']}, {bench.machine['cores']} cores"
        )
        axes.grid(zorder=0)
        axes.spines["left"].set_visible(False)
