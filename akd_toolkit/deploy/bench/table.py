"""The table of a bench: Markdown for people, CSV and JSON for programs."""

import json
from pathlib import Path

import pandas as pd

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.deploy.bench.machine import busy_warning
from akd_toolkit.deploy.bench.rows import numbers
from akd_toolkit.deploy.bench.run import ROUNDS, Bench
from akd_toolkit.evaluate.report.tables import count, markdown_table

HEADER = ["model", "run by", "threads", "parameters", "GFLOPs", "MB", "p50 ms", "p95 ms", "× first", "RTF", "features"]
HEADER += ["windows/s (batch)", "memory MB", "mJ/window", "note"]

HOW = """\
A window is {window_s:g} s of generated speech; waveform in, answer out, features included. p50, p95, RTF (p50 / window)
and mJ are at batch 1, windows/s at the best batch of those that fit in the time. × first: p50 / p50 of the first
measured row. Every row has a process of its own with its threads fixed; all take turns in {rounds} rounds,
{seconds:g} s for each row and batch size. GFLOPs: matrix products and convolutions, front end included; a
multiplication with its addition is two. features: p50 of the front end alone / p50. memory: rise of the host process
over bare Python with NumPy, the library that runs the model (and a compiler) included. mJ: of the whole package or
board."""


def bench_frame(bench: Bench) -> pd.DataFrame:
    """One row of plain numbers for each row of the bench, empty where there is none."""
    first = next((row.p50_ms() for row in bench.rows if row.measured), None)
    return pd.DataFrame([numbers(row, bench.options["window_s"], first) for row in bench.rows])


def bench_markdown(bench: Bench) -> str:
    """The whole page: the machine, the table, and how it was measured."""
    machine, options = bench.machine, bench.options
    warning = busy_warning(machine["load_at_start"], machine["cores"])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    lines = [
        f"# Speed on {machine['cpu']}, {machine['cores']} cores",
        "",
        f"{machine['system']}; {machine['memory_gb']} GB; {' '.join(machine['instructions'])}; "
        f"GPU: {machine['gpu'] or 'none'}; load before: {machine['load_at_start']}; {machine['date']}.",
        f"{versions}.",
        *(["", f"**{warning}**"] if warning else []),
        *(["", "**Stopped early: fewer calls than asked for.**"] if bench.stopped else []),
        "",
        bench_table(bench),
        "",
        HOW.format(rounds=ROUNDS, **options),
    ]
    return "\n".join(lines) + "\n"


def bench_table(bench: Bench) -> str:
    """The table alone."""
    return markdown_table(HEADER, [_cells(told) for told in bench_frame(bench).to_dict("records")], left=2)


def write_bench(bench: Bench, folder: str | Path) -> Path:
    """Write ``bench.md``, ``bench.csv`` and ``environment.json``, and return the folder."""
    folder = Path(folder)
    with written_aside(folder / "bench.csv") as aside:
        bench_frame(bench).to_csv(aside, index=False)
    told = {**bench.machine, "options": bench.options, "stopped": bench.stopped}
    write_text_aside(folder / "environment.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    write_text_aside(folder / "bench.md", bench_markdown(bench))
    return folder


def _cells(told: dict) -> list[str]:
    told = {key: None if pd.isna(value) else value for key, value in told.items()}
    if told["p50_ms"] is None:
        speed = ["-"] * 8
    else:
        speed = [
            *(significant(told[key]) for key in ("p50_ms", "p95_ms", "times_first", "rtf")),
            "-" if told["features_share"] is None else f"{100 * told['features_share']:.0f} %",
            f"{significant(told['windows_per_s'])} ({told['best_batch']:.0f})",
            "-" if told["memory_mb"] is None else f"{told['memory_mb']:.0f}",
            "not told" if told["mj_per_window"] is None else significant(told["mj_per_window"]),
        ]
    size = [significant(told["gflops"]), significant(told["file_mb"])]
    parameters = "-" if told["parameters"] is None else count(int(told["parameters"]))
    return [told["model"], told["run by"], f"{told['threads']}", parameters, *size, *speed, told["note"] or ""]


def significant(value: float | None) -> str:
    """Three digits that tell something, written out.

    Example
    -------
    >>> [significant(value) for value in (0.00031649, 1.2345, 43.21, 1167.8, None)]
    ['0.000316', '1.23', '43.2', '1168', '-']
    """
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):.12f}".rstrip("0").rstrip(".")
