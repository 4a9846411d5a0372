"""How true a student's probabilities are, before and after one temperature that is fitted on inner folds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from akd_toolkit.data.files import write_text_aside
from akd_toolkit.evaluate.report.summary import label_indices
from akd_toolkit.evaluate.studies.answering import finished_runs
from akd_toolkit.evaluate.studies.tables import by_system, check_place, publish, system_names, write_table
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.scores_file import label_order_of
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.calibration import (
    NUM_BINS,
    best_temperature,
    brier_score,
    confidence_bins,
    negative_log_likelihood,
    tempered,
)
from akd_toolkit.metrics.intervals import Interval, jackknife_interval, ratio

STUDY = "calibration"
BEFORE, AFTER = "before", "after"
BOUNDS = {"ece": 1, "nll": np.inf, "brier": 2}
MEASURES = tuple(BOUNDS)


def calibration_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """Calibration of the stored posteriors as they are, and after one temperature a run; returns the table's path.

    The temperature of an outer run is fitted to what the chosen candidate's inner runs said of their validation
    speakers, all of them training speakers of the outer run. Where an experiment compared no candidates there are no
    inner runs, and so no temperature: it is never fitted to the test.

    Arguments
    ---------
    to
        Folder for the common table of several experiments.
    """
    check_place(experiments, to)
    rows, bins = [], []
    for system, experiment in zip(system_names(experiments), experiments):
        before, after, temperatures = _calibrated(experiment)
        conditions = {BEFORE: before} if after is None else {BEFORE: before, AFTER: after}
        for condition, scores in conditions.items():
            rows.append(
                {
                    "system": system,
                    "condition": condition,
                    **calibration_row(scores, None if condition == BEFORE else before),
                    "temperature": np.mean(temperatures) if condition == AFTER else 1.0,
                    "temperature_low": min(temperatures) if condition == AFTER else 1.0,
                    "temperature_high": max(temperatures) if condition == AFTER else 1.0,
                }
            )
            bins.append(reliability(scores).assign(condition=condition, system=system))
    every_bin = pd.concat(bins, ignore_index=True)

    def write(folder: Path, table: pd.DataFrame) -> Path:
        of_table = every_bin[every_bin["system"].isin(table["system"])]
        write_text_aside(folder / "reliability.csv", of_table.to_csv(index=False, lineterminator="\n"))
        return _write(folder, table)

    return publish(experiments, STUDY, to, pd.DataFrame(rows), write)


def calibration_row(scores: pd.DataFrame, reference: pd.DataFrame | None = None) -> dict:
    """Calibration error, negative log-likelihood and Brier score, each with its interval, and less the reference's.

    Every measure is pooled over all outer tests and averaged over seeds; 95 % intervals are over speakers.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["L", "A"], probs, ["L", "A"], fold=1, seed=17)
    >>> row = calibration_row(scores)
    >>> row["ece"], row["brier"]  # sure 3/4, right 1/2; (2 / 16 + 18 / 16) / 2
    (0.25, 0.625)
    """
    own, row = _left_out(scores), {}
    other = None if reference is None else _left_out(reference)
    for measure in MEASURES:
        value, values = own[measure]
        ahead = Interval(np.nan, np.nan, np.nan)
        if other is not None:
            ahead = jackknife_interval(value - other[measure][0], values - other[measure][1])
        found = jackknife_interval(value, values, bounds=(0, BOUNDS[measure]))
        row |= found.columns(measure) | ahead.columns(f"{measure}_change")
    return row


def reliability(scores: pd.DataFrame, num_bins: int = NUM_BINS) -> pd.DataFrame:
    """Bins of confidence: bin (from 1), mean confidence, accuracy, count of answers over all seeds; empty ones NaN.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["L", "A"], probs, ["L", "A"], fold=1, seed=17)
    >>> reliability(scores, num_bins=4).dropna().values.tolist()
    [[3.0, 0.75, 0.5, 2.0]]
    """
    probs, truth = _arrays(scores)
    bins, gaps = confidence_bins(probs, truth, num_bins)
    count = np.bincount(bins, minlength=num_bins)
    filled = np.where(count > 0, count, np.nan)
    confidence = np.bincount(bins, weights=probs.max(axis=1), minlength=num_bins) / filled
    accuracy = confidence + np.bincount(bins, weights=gaps, minlength=num_bins) / filled
    columns = {"bin": np.arange(1, num_bins + 1), "confidence": confidence, "accuracy": accuracy, "count": count}
    return pd.DataFrame(columns)


def _calibrated(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame | None, list[float]]:
    """Stored scores, the same after each run's temperature or None, and the temperatures."""
    runs = finished_runs(experiment)
    before, after, temperatures = [], [], []
    for run in tqdm(runs, desc=f"{experiment.title}: temperatures", unit="run"):
        before.append(run.scores(experiment.manifest))
        inner = _inner_scores(experiment, run)
        if inner is not None:
            temperatures.append(best_temperature(*_arrays(inner)))
            columns = [f"p_{label}" for label in experiment.label_order]
            probs = tempered(before[-1][columns].to_numpy(float), temperatures[-1])
            after.append(before[-1].assign(**dict(zip(columns, probs.T))))
    joined = [pd.concat(parts, ignore_index=True) if len(parts) == len(runs) else None for parts in (before, after)]
    return joined[0], joined[1], temperatures


def _inner_scores(experiment: Experiment, outer: PlannedRun) -> pd.DataFrame | None:
    """What the chosen candidate's inner runs of one outer fold scored; None where there are none.

    Raises
    ------
    ValueError
        If some are not done, or heard by a test speaker.
    """
    inner = experiment.inner_runs(outer)
    if not inner:
        return None
    choice = experiment.choice(outer.seed, outer.fold)
    if choice is None:
        path = experiment.paths.choice(outer.seed, outer.fold)
        raise ValueError(f"{path} is missing; run its recipe to the end first.")
    chosen = [run for run in inner if run.candidate == choice["chosen"]]
    missing = [run.name for run in chosen if not run.done]
    if missing:
        raise ValueError(f"{experiment.folder} lacks the scores of {missing[0]}; run its recipe to the end first.")
    scores = experiment.scores(chosen)
    if set(scores["speaker"]) & set(outer.test_speakers):
        raise ValueError(f"inner runs of {outer.name} were scored on its test speakers; audit {experiment.folder}.")
    return scores


def _left_out(scores: pd.DataFrame) -> dict[str, tuple[float, np.ndarray]]:
    """Each measure over all speakers, and without each of them; means over seeds."""
    names, speaker = np.unique(scores["speaker"], return_inverse=True)
    probs, truth = _arrays(scores)
    seeds = [np.flatnonzero(scores["seed"] == seed) for seed in scores["seed"].unique()]

    def of_seeds(values: np.ndarray, bins: np.ndarray, num_bins: int) -> tuple[float, np.ndarray]:
        """Sum over bins of the size of the mean value; with one bin, and values of at least 0, that is their mean."""
        whole, left_out = [], []
        for rows in seeds:
            cell = speaker[rows] * num_bins + bins[rows]
            sums = np.bincount(cell, weights=values[rows], minlength=len(names) * num_bins).reshape(-1, num_bins)
            counts = np.bincount(speaker[rows], minlength=len(names))
            whole.append(np.abs(sums.sum(axis=0)).sum() / counts.sum())
            left_out.append(ratio(np.abs(sums.sum(axis=0) - sums).sum(axis=1), counts.sum() - counts))
        return float(np.mean(whole)), np.mean(left_out, axis=0)

    bins, gaps = confidence_bins(probs, truth)
    one = np.zeros(len(truth), dtype=int)
    return {
        "ece": of_seeds(gaps, bins, NUM_BINS),
        "nll": of_seeds(negative_log_likelihood(probs, truth), one, 1),
        "brier": of_seeds(brier_score(probs, truth), one, 1),
    }


def _arrays(scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    labels = label_order_of(scores)
    return scores[[f"p_{label}" for label in labels]].to_numpy(float), label_indices(scores["truth"], labels)


def _write(folder: Path, table: pd.DataFrame) -> Path:
    protocol = (
        "Stored posteriors of the outer tests, as they are and after one temperature for each run, which was fitted to "
        "the chosen candidate's scores on the inner validation speakers and never to the test."
    )
    without = [name for name, rows in table.groupby("system", sort=False) if AFTER not in set(rows["condition"])]
    missing = (
        f"No temperature could be fitted for {', '.join(without)}: no candidates were compared, so there are no inner "
        "scores."
    )
    measures = (
        f"ECE is the expected calibration error in {NUM_BINS} bins of confidence, NLL the negative log-likelihood in "
        "nats, Brier the squared distance from the truth (0 to 2): less is better. Pooled over all outer tests and "
        "averaged over seeds; 95 % intervals are over speakers."
    )

    def cells(row) -> list[str]:
        spread = f"{row['temperature']:.2f} ({row['temperature_low']:.2f} to {row['temperature_high']:.2f})"
        measured = [_with_limits(row, name, 100 if name == "ece" else 1) for name in MEASURES]
        changes = [_with_limits(row, f"{name}_change", 100 if name == "ece" else 1, "+") for name in MEASURES[:2]]
        return [row["condition"], spread if row["condition"] == AFTER else "1", *measured, *changes]

    header = ["posteriors", "temperature", "ECE, % [95 %]", "NLL [95 %]", "Brier [95 %]"]
    header += ["change of ECE", "change of NLL"]
    sentences = [protocol, missing if without else "", measures]
    bins = "The bins of a reliability diagram are in reliability.csv."
    return write_table(folder, table, "Calibration", sentences, [by_system(table, header, cells, left=2), bins])


def _with_limits(row, name: str, factor: float, sign: str = "") -> str:
    numbers = [factor * row[column] for column in (name, f"{name}_low", f"{name}_high")]
    if np.isnan(numbers[0]):
        return ""
    digits = 1 if factor == 100 else 3
    middle, low, high = (f"{number:{sign}.{digits}f}" for number in numbers)
    return f"{middle} [{low}, {high}]"
