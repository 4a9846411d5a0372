"""Calibration of a student's posteriors, before and after a temperature that is fitted on inner folds."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from akd_toolkit.evaluate.report.summary import probs_and_truth
from akd_toolkit.evaluate.report.tables import with_limits
from akd_toolkit.evaluate.studies.study import finished_runs, named, write_study
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics.calibration import (
    NUM_BINS,
    best_temperature,
    brier_score,
    confidence_bins,
    negative_log_likelihood,
    tempered,
)
from akd_toolkit.metrics.intervals import jackknife_interval, ratio
from akd_toolkit.progress import tqdm

STUDY = "calibration"
BEFORE, AFTER = "before", "after"
PROTOCOL = (
    "Stored posteriors of the outer tests, as they are and after one temperature for each run, which was fitted to the "
    "chosen candidate's scores on the inner validation speakers and never to the test."
)
MEASURES = (
    f"ECE is the expected calibration error in {NUM_BINS} bins of confidence, NLL the negative log-likelihood in nats, "
    "Brier the squared distance from the truth (0 to 2): less is better. Pooled over all outer tests and averaged over "
    "seeds; 95 % intervals are over speakers. The bins of a reliability diagram are in reliability.csv."
)


def calibration_study(experiments: Sequence[Experiment], to: str | Path | None = None) -> Path:
    """Calibration of stored posteriors as they are, and after one temperature per run; returns the path of the table.

    The temperature of an outer run is fitted to the scores of the chosen candidate's inner runs on their validation
    speakers, all of them training speakers of the outer run. An experiment that compared no candidates has no inner
    runs, and so no temperature.
    """
    rows, bins = [], []
    for system, experiment in named(experiments, to):
        before, after, temperatures = _calibrated(experiment)
        for condition, scores, reference in ((BEFORE, before, None), (AFTER, after, before)):
            if scores is not None:
                values = temperatures if condition == AFTER else [1.0]
                spread = {"temperature": np.mean(values)}
                spread |= {"temperature_low": min(values), "temperature_high": max(values)}
                row = {"system": system, "condition": condition}
                rows.append({**row, **calibration_row(scores, reference), **spread})
                bins.append(reliability(scores).assign(condition=condition, system=system))
    columns = {
        "posteriors": "{condition}",
        "temperature": lambda row: (
            "1"
            if row["condition"] == BEFORE
            else "{temperature:.2f} ({temperature_low:.2f} to {temperature_high:.2f})".format(**row)
        ),
        "ECE, % [95 %]": partial(with_limits, value="ece"),
        "NLL [95 %]": partial(with_limits, value="nll", scale=1),
        "Brier [95 %]": partial(with_limits, value="brier", scale=1),
        "change of ECE": partial(with_limits, value="ece_change", sign="+"),
        "change of NLL": partial(with_limits, value="nll_change", scale=1, sign="+"),
    }
    tables = {
        "table.csv": ("", pd.DataFrame(rows), columns),
        "reliability.csv": ("", pd.concat(bins, ignore_index=True), {}),
    }
    return write_study(experiments, to, STUDY, "Calibration", _notes, tables)


def _notes(table: pd.DataFrame) -> str:
    names = [name for name, rows in table.groupby("system", sort=False) if AFTER not in set(rows["condition"])]
    reason = "no candidates were compared, so there are no inner scores."
    lacking = [f"No temperature could be fitted for {', '.join(names)}: {reason}"] if names else []
    return " ".join([PROTOCOL, *lacking, MEASURES])


def calibration_row(scores: pd.DataFrame, reference: pd.DataFrame | None = None) -> dict:
    """ECE, NLL and Brier score with 95 % intervals over speakers, and ``*_change`` from the reference's.

    Measures are pooled over all outer tests and averaged over seeds.
    """
    own, row = _left_out(scores), {}
    other = {} if reference is None else _left_out(reference)
    for measure, highest in {"ece": 1, "nll": np.inf, "brier": 2}.items():
        value, values = own[measure]
        reference_value, reference_values = other.get(measure, (np.nan, np.nan))
        row |= jackknife_interval(value, values, bounds=(0, highest)).columns(measure)
        row |= jackknife_interval(value - reference_value, values - reference_values).columns(f"{measure}_change")
    return row


def reliability(scores: pd.DataFrame, num_bins: int = NUM_BINS) -> pd.DataFrame:
    """Bins of confidence, from 1: mean confidence, accuracy, and count over all seeds; NaN in empty bins.

    Example
    -------
    >>> from akd_toolkit.experiment.scores_file import make_scores
    >>> probs = np.array([[0.75, 0.25], [0.75, 0.25]])
    >>> scores = make_scores(["a", "b"], ["03", "08"], ["L", "A"], probs, ["L", "A"], fold=1, seed=17)
    >>> reliability(scores, num_bins=4).dropna().values.tolist()
    [[3.0, 0.75, 0.5, 2.0]]
    """
    probs, truth = probs_and_truth(scores)
    bins, gaps = confidence_bins(probs, truth, num_bins)
    confidence = probs.max(axis=1)
    rows = pd.DataFrame({"bin": bins + 1, "confidence": confidence, "accuracy": confidence + gaps})
    table = rows.groupby("bin").mean().assign(count=rows["bin"].value_counts())
    return table.reindex(range(1, num_bins + 1)).fillna({"count": 0}).astype({"count": int}).reset_index()


def _calibrated(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame | None, list[float]]:
    """Stored scores, the same after each run's temperature (None without inner runs), and the temperatures."""
    before, after, temperatures = [], [], []
    columns = [f"p_{label}" for label in experiment.label_order]
    for run in tqdm(finished_runs(experiment), desc=f"{experiment.title}: temperatures", unit="run"):
        before.append(run.scores(experiment.manifest))
        inner = _inner_scores(experiment, run)
        if inner is not None:
            temperatures.append(best_temperature(*probs_and_truth(inner)))
            probs = tempered(before[-1][columns].to_numpy(float), temperatures[-1])
            after.append(before[-1].assign(**dict(zip(columns, probs.T))))
    return pd.concat(before, ignore_index=True), pd.concat(after, ignore_index=True) if after else None, temperatures


def _inner_scores(experiment: Experiment, outer: PlannedRun) -> pd.DataFrame | None:
    """Scores of the chosen candidate's inner runs of one outer fold; None where there are none."""
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
    """Each measure over all speakers, and without each of them, [S]; means over seeds."""
    probs, truth = probs_and_truth(scores)
    bins, gaps = confidence_bins(probs, truth)
    # Each measure is a sum over bins of |sum of values| / N; with one bin and positive values that is their mean.
    parts = {"ece": (gaps, bins), "nll": (negative_log_likelihood(probs, truth), 0)}
    parts["brier"], found = (brier_score(probs, truth), 0), {}
    for name, (values, bin_of) in parts.items():
        of_seeds = []
        for _, rows in scores[["seed", "speaker"]].assign(value=values, bin=bin_of).groupby("seed"):
            sums = rows.pivot_table(index="speaker", columns="bin", values="value", aggfunc="sum", fill_value=0.0)
            sums, counts = sums.to_numpy(), rows.groupby("speaker").size().to_numpy()
            left_out = ratio(np.abs(sums.sum(axis=0) - sums).sum(axis=1), counts.sum() - counts)
            of_seeds.append([np.abs(sums.sum(axis=0)).sum() / counts.sum(), *left_out])
        value, *left_out = np.mean(of_seeds, axis=0)
        found[name] = float(value), np.array(left_out)
    return found
