"""How test windows overlap: the paper's Table 1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from akd_toolkit.evaluate.studies.answering import Condition, answer, finished_runs
from akd_toolkit.evaluate.studies.tables import (
    INTERVALS,
    by_system,
    check_place,
    publish,
    score_cells,
    score_header,
    score_row,
    system_names,
    write_table,
)
from akd_toolkit.experiment.stored import Experiment

STUDY = "overlap"
WINDOWS_S, OVERLAPS_S = (1.0, 2.0, 3.0), (0.0, 0.25, 0.5)


def overlap_study(
    experiments: Sequence[Experiment],
    windows_s: Sequence[float] = WINDOWS_S,
    overlaps_s: Sequence[float] = OVERLAPS_S,
    jobs: int = 1,
    to: str | Path | None = None,
) -> Path:
    """Score the stored students again with test windows of several lengths and overlaps; returns the table's path.

    Windows of each length start every ``window_s - overlap_s``, the last ends with the utterance, and posteriors are
    averaged per utterance (``data/segments.py``). The length that the students were trained with is always among them,
    and so is no overlap, which the others of the same length are compared with.

    Arguments
    ---------
    windows_s
        Seconds, each above 0.1.
    overlaps_s
        Seconds, each at least 0; an overlap is left out where it is not below the window.
    jobs
        How many conditions are computed side by side.
    to
        Folder for the common table of several experiments.
    """
    check_place(experiments, to)
    own = [finished_runs(experiment)[0].record.window_s for experiment in experiments]
    windows_s, overlaps_s = sorted({*map(float, windows_s), *own}), sorted({0.0, *map(float, overlaps_s)})
    pairs = [(window_s, overlap_s) for window_s in windows_s for overlap_s in overlaps_s if overlap_s < window_s]
    named = {pair: Condition(_name(*pair), window_s=pair[0], overlap_s=pair[1]) for pair in pairs}
    found = answer(experiments, STUDY, list(named.values()), jobs)
    rows = []
    for system, trained_s, scores in zip(system_names(experiments), own, found):
        for window_s, overlap_s in tqdm(pairs, desc=f"{system}: scores", unit="condition"):
            reference = None if overlap_s == 0 else scores[_name(window_s, 0.0)]
            of_pair = {"window_s": window_s, "overlap_s": overlap_s, "trained_window": window_s == trained_s}
            rows.append({"system": system, **of_pair, **score_row(scores[_name(window_s, overlap_s)], reference)})
    return publish(experiments, STUDY, to, pd.DataFrame(rows), _write)


def _name(window_s: float, overlap_s: float) -> str:
    return f"window {window_s:g} s overlap {overlap_s:g} s"


def _write(folder: Path, table: pd.DataFrame) -> Path:
    protocol = (
        "The stored students answered their own outer test speakers again; only the test windows differ, and the "
        "posteriors of the windows are averaged per utterance. A length marked * is the one trained with."
    )
    header = ["window", "overlap", *score_header("no overlap")]

    def cells(row) -> list[str]:
        star = " *" if row["trained_window"] else ""
        return [f"{row['window_s']:g} s{star}", f"{row['overlap_s']:g} s", *score_cells(row)]

    markdown = by_system(table, header, cells, left=3)
    return write_table(folder, table, "Overlap of test windows", [protocol, INTERVALS], [markdown])
