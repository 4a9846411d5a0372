"""Calibration before and after a temperature that is not fitted to the test."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from akd_toolkit.evaluate.studies import calibration_study
from akd_toolkit.evaluate.studies.calibration import calibration_row, reliability
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics.calibration import expected_calibration_error


@pytest.fixture
def nested(make_experiment):
    return make_experiment("nested", seeds=(17, 18), candidates=2, folds=[["f1", "m1"], ["f2"], ["m2"]])


def arrays(scores):
    columns = [name for name in scores.columns if name.startswith("p_")]
    labels = [name[2:] for name in columns]
    return scores[columns].to_numpy(), np.array([labels.index(label) for label in scores["truth"]])


def test_measures_are_those_of_each_seed_averaged(experiment):
    scores = experiment.scores()
    row, each = calibration_row(scores), {"ece": [], "nll": [], "brier": []}
    for _, run in scores.groupby("seed"):
        probs, truth = arrays(run)
        each["ece"].append(expected_calibration_error(probs, truth))
        each["nll"].append(np.mean([-np.log(p[t]) for p, t in zip(probs, truth)]))
        each["brier"].append(np.mean([sum((p[c] - (c == t)) ** 2 for c in range(3)) for p, t in zip(probs, truth)]))
    for name, values in each.items():
        assert row[name] == pytest.approx(np.mean(values))
    assert row["nll_low"] <= row["nll"] <= row["nll_high"] and np.isnan(row["ece_change"])


def test_the_temperature_is_that_of_the_chosen_candidates_inner_scores(nested):
    path = calibration_study([nested])
    table = pd.read_csv(path.with_name("table.csv")).set_index("condition")
    found = []
    for run in nested.outer_runs():
        parts = sorted((run.folder.parent).glob("inner*-candidate2/scores.csv"))
        probs, truth = arrays(pd.concat([read_scores(part) for part in parts]))
        grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4001))
        nll = [-log_softmax(np.log(probs) / t, axis=1)[np.arange(len(truth)), truth].mean() for t in grid]
        found.append(grid[np.argmin(nll)])
    assert table.loc["after", "temperature"] == pytest.approx(np.mean(found), rel=2e-3)
    assert table.loc["after", "temperature_low"] == pytest.approx(min(found), rel=2e-3)
    probs, truth = arrays(nested.scores())
    by_run = np.repeat(found, [len(run.scores()) for run in nested.outer_runs()])
    after = log_softmax(np.log(probs) / by_run[:, None], axis=1)[np.arange(len(truth)), truth]
    assert table.loc["after", "nll"] == pytest.approx(-after.mean(), rel=1e-3)  # both seeds score the same utterances
    change = table.loc["after", "nll"] - table.loc["before", "nll"]
    assert table.loc["after", "nll_change"] == pytest.approx(change)


def test_the_temperature_does_not_depend_on_the_test(nested):
    before = pd.read_csv(calibration_study([nested]).with_name("table.csv"))
    for run in nested.outer_runs():
        path = run.folder / "scores.csv"
        scores = read_scores(path)
        scores[["p_anger", "p_boredom", "p_neutral"]] = [0.98, 0.01, 0.01]
        scores.assign(prediction="anger").to_csv(path, index=False)
    after = pd.read_csv(calibration_study([nested]).with_name("table.csv"))
    assert before["temperature"].tolist() == after["temperature"].tolist() and before["nll"][0] != after["nll"][0]


def test_without_inner_runs_there_is_no_temperature(experiment, nested, tmp_path):
    path = calibration_study([experiment])
    assert "No temperature could be fitted for toy: akd" in path.read_text()
    assert pd.read_csv(path.with_name("table.csv"))["condition"].tolist() == ["before"]
    bins = pd.read_csv(calibration_study([nested]).with_name("reliability.csv"))
    assert bins.groupby("condition")["count"].sum().to_dict() == {"before": 48, "after": 48}
    both = calibration_study([experiment, nested], to=tmp_path / "to")
    assert both == tmp_path / "to/calibration/table.md"
    assert pd.read_csv(both.with_name("table.csv"))["condition"].tolist() == ["before", "before", "after"]


def test_unfinished_inner_runs_are_named(nested):
    (nested.folder / "seed17/fold1/inner1-candidate2/scores.csv").unlink()
    with pytest.raises(ValueError, match="seed17/fold1/inner1-candidate2"):
        calibration_study([nested])


def test_bins_are_those_of_plain_loops(experiment):
    scores = experiment.scores()
    probs, truth = arrays(scores)
    table = reliability(scores, num_bins=5).set_index("bin")
    for number in range(1, 6):
        rows = [n for n, p in enumerate(probs) if (number - 1) / 5 < p.max() <= number / 5]
        assert table.loc[number, "count"] == len(rows)
        if rows:
            assert table.loc[number, "confidence"] == pytest.approx(np.mean([probs[n].max() for n in rows]))
            assert table.loc[number, "accuracy"] == pytest.approx(
                np.mean([probs[n].argmax() == truth[n] for n in rows])
            )
