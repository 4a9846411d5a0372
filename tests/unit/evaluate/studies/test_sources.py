"""Candidates and sources of unlabelled speech are compared on inner folds alone."""

import shutil

import pandas as pd
import pytest

from akd_toolkit.evaluate.studies import sources_study
from akd_toolkit.experiment.scores_file import read_scores
from akd_toolkit.metrics.scores import ua

FOLDS = [["f1", "m1"], ["f2"], ["m2"]]
CANDIDATES = [{}, {"sources.street.weight": 0.0}, {"sources": {"radio": {"weight": 2.0}, "street": {"weight": 0}}}]


@pytest.fixture
def nested(make_experiment):
    settings = {"unlabelled_hash": {"street": "1", "radio": "2"}, "candidates": CANDIDATES}
    return make_experiment("nested", candidates=3, folds=FOLDS, settings=settings)


def test_candidates_and_sources_are_scored_on_the_inner_folds(nested):
    path = sources_study([nested])
    table = pd.read_csv(path.with_name("table.csv")).set_index("candidate")
    for number in (1, 2, 3):
        parts = sorted(nested.folder.glob(f"seed17/fold*/inner*-candidate{number}/scores.csv"))
        scores = pd.concat([read_scores(part) for part in parts])
        assert table.loc[number, "ua_pooled"] == pytest.approx(ua(scores["truth"], scores["prediction"]))
        assert table.loc[number, "utterances"] == len(scores) and table.loc[number, "folds"] == 3
    assert table["chosen"].tolist() == [0, 0, 3] and table.loc[2, "nll"] < table.loc[1, "nll"]
    worth = pd.read_csv(path.with_name("sources.csv"))
    pairs = worth[["source", "with", "without"]].values.tolist()
    assert pairs == [["street", 1, 2]]  # candidate 3 differs in radio too
    change = table.loc[1, "nll"] - table.loc[2, "nll"]
    assert worth["nll_ahead"].item() == pytest.approx(change)
    assert "Worth of each source" in path.read_text()


def test_outer_folds_whose_inner_runs_are_missing_are_left_out(nested):
    for run in nested.outer_runs():
        shutil.rmtree(run.folder)  # outer tests are not needed
    whole = pd.read_csv(sources_study([nested]).with_name("table.csv"))
    shutil.rmtree(nested.outer_runs()[0].folder.parent / "inner1-candidate2")
    part = pd.read_csv(sources_study([nested]).with_name("table.csv"))
    assert part["utterances"].iloc[0] < whole["utterances"].iloc[0]
    for run in nested.outer_runs():
        shutil.rmtree(run.folder.parent / "inner1-candidate3", ignore_errors=True)
    with pytest.raises(ValueError, match="inner runs"):
        sources_study([nested])


def test_an_experiment_without_candidates_is_refused(make_experiment):
    with pytest.raises(ValueError, match="candidates"):
        sources_study([make_experiment("single")])
