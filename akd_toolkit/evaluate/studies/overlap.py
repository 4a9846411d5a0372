"""Overlap of test windows: the paper's Table 1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from akd_toolkit.evaluate.studies.evaluate_saved import Condition, evaluate_saved
from akd_toolkit.evaluate.studies.study import (
    INTERVALS,
    Study,
    check_experiments,
    finished_runs,
    score_columns,
    score_row,
    system_names,
)
from akd_toolkit.experiment.stored import Experiment

WINDOWS_S, OVERLAPS_S = (1.0, 2.0, 3.0), (0.0, 0.25, 0.5)
PROTOCOL = (
    "The stored students were evaluated again on their own outer test speakers; only the test windows differ, and the "
    "posteriors of the windows are averaged per utterance. The length used in training is marked *."
)


def overlap_study(
    experiments: Sequence[Experiment],
    windows_s: Sequence[float] = WINDOWS_S,
    overlaps_s: Sequence[float] = OVERLAPS_S,
    jobs: int = 1,
    to: str | Path | None = None,
) -> Path:
    """Score the stored students with test windows of several lengths and overlaps; returns the path of the table.

    Windows start every ``window_s - overlap_s``, the last ends with the utterance, and posteriors are averaged per
    utterance. The length used in training and an overlap of 0, the reference, are always added. Windows are above 0.1
    s; overlaps that are not below the window are left out.

    ``jobs`` conditions are computed at the same time; ``to`` is the folder for the common table of several experiments.
    """
    check_experiments(experiments, to)
    trained_s = [finished_runs(experiment)[0].record.window_s for experiment in experiments]
    windows_s, overlaps_s = sorted({*map(float, windows_s), *trained_s}), sorted({0.0, *map(float, overlaps_s)})
    pairs = [(window_s, overlap_s) for window_s in windows_s for overlap_s in overlaps_s if overlap_s < window_s]
    conditions = [Condition(_name(*pair), window_s=pair[0], overlap_s=pair[1]) for pair in pairs]
    rows = []
    stored = evaluate_saved(experiments, "overlap", conditions, jobs)
    for system, own_s, scores in zip(system_names(experiments), trained_s, stored):
        for window_s, overlap_s in tqdm(pairs, desc=f"{system}: scores", unit="condition"):
            reference = None if overlap_s == 0 else scores[_name(window_s, 0.0)]
            condition = {"window_s": window_s, "overlap_s": overlap_s, "trained_window": window_s == own_s}
            rows.append({"system": system, **condition, **score_row(scores[_name(window_s, overlap_s)], reference)})
    columns = {
        "window": lambda row: f"{row['window_s']:g} s{' *' if row['trained_window'] else ''}",
        "overlap": lambda row: f"{row['overlap_s']:g} s",
        **score_columns("no overlap"),
    }
    study = Study("overlap", "Overlap of test windows", pd.DataFrame(rows), columns, lambda _: [PROTOCOL, INTERVALS])
    return study.write(experiments, to)


def _name(window_s: float, overlap_s: float) -> str:
    return f"window {window_s:g} s overlap {overlap_s:g} s"
