"""The table of a compression: each step's size, operations, latency and scores, against the beginning."""

from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.deploy.compress.measures import scores_file
from akd_toolkit.deploy.compress.pipeline import ORIGINAL, files_of
from akd_toolkit.deploy.compress.steps import Step
from akd_toolkit.evaluate.report import compare
from akd_toolkit.evaluate.report.tables import markdown_table
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics.scores import ua, wa

FEW_SPEAKERS = 4  # below, an interval over speakers says nothing
NOTE = (
    "KB are 1000 bytes; GFLOPs and ms are of one window of {window_s:g} s, features included; ms: median of ONNX "
    "Runtime on {cpu}, one thread, batch 1, all files in turn. Scores are of the exported files, on speakers whom "
    "neither training nor calibration has heard; changes, in points, are against the beginning{interval}."
)
INTERVAL = ", with the 95 % interval of a paired bootstrap over speakers"


def table_of(places: list[Path], records: list[dict[str, dict]], steps: list[Step], label_order) -> pd.DataFrame:
    """One row a step: means over runs of what was measured, scores pooled over all that the runs were scored on.

    Arguments
    ---------
    places
        Where the steps of each run lie.
    records
        Of each run, as ``records_of`` tells them.
    """
    rows, first = [], None
    for title, options in {ORIGINAL: "", **{step.title: step.options for step in steps}}.items():
        files = [files_of(place, steps)[title] for place in places]
        scores = pd.concat([read_scores(scores_file(file), label_order) for file in files], ignore_index=True)
        first = scores if first is None else first
        measured = {
            key: float(np.mean([record[title][key] for record in records]))
            for key in ("kb", "parameters", "gflops", "ms")
        }
        rows.append({"step": title, "options": options, "file": files[0].name, **measured, **_scores(scores, first)})
    return pd.DataFrame(rows)


def _scores(scores: pd.DataFrame, first: pd.DataFrame) -> dict:
    """WA and UA (mean over seeds of the pooled score) and their changes, in percent and points."""
    told = {name: _pooled(scores, score) for name, score in (("wa", wa), ("ua", ua))}
    changed = {f"{name}_change": told[name] - _pooled(first, score) for name, score in (("wa", wa), ("ua", ua))}
    if scores is not first and scores["speaker"].nunique() >= FEW_SPEAKERS:
        found = compare(scores, first)
        changed |= {"ua_low": 100 * found["ua_low"], "ua_high": 100 * found["ua_high"], "ua_p": found["ua_p"]}
    return {**told, **changed}


def _pooled(scores: pd.DataFrame, score) -> float:
    return 100 * float(np.mean([score(run["truth"], run["prediction"]) for _, run in scores.groupby("seed")]))


def table_markdown(table: pd.DataFrame) -> str:
    """The table for people."""
    header = ["step", "options", "file", "KB", "parameters", "GFLOPs", "ms", "WA", "UA", "WA change", "UA change"]
    cells = []
    for row in table.to_dict("records"):
        begin = row["step"] == ORIGINAL
        changes = ["" if begin else f"{row[f'{name}_change']:+.1f}" for name in ("wa", "ua")]
        if not begin and pd.notna(row.get("ua_low")):
            changes[1] += f" [{row['ua_low']:+.1f}, {row['ua_high']:+.1f}]"
        numbers = [f"{row['kb']:.0f}", f"{row['parameters']:,.0f}", f"{row['gflops']:.4f}", f"{row['ms']:.2f}"]
        cells.append(
            [row["step"], row["options"], row["file"], *numbers, f"{row['wa']:.1f}", f"{row['ua']:.1f}", *changes]
        )
    return markdown_table(header, cells, left=3)


def write_table(folder: Path, table: pd.DataFrame, title: str, window_s: float, cpu: str, warning: str) -> Path:
    """Write compress.csv and compress.md, and return the latter."""
    interval = INTERVAL if "ua_low" in table and table["ua_low"].notna().any() else ""
    parts = [f"# {title}", table_markdown(table), NOTE.format(window_s=window_s, cpu=cpu, interval=interval)]
    write_text_aside(folder / "compress.csv", table.round(5).to_csv(index=False))
    write_text_aside(folder / "compress.md", "\n\n".join([*parts, *([warning] if warning else [])]) + "\n")
    return folder / "compress.md"
