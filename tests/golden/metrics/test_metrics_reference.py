"""Every score equals the loops of make_reference.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.evaluate.report import compare, summarise
from akd_toolkit.experiment.scores_file import read_scores

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def reference():
    return json.loads((HERE / "reference.json").read_text())


@pytest.fixture(scope="module")
def summary(reference):
    return summarise(read_scores(HERE / "scores_a.csv"), reference["label_order"])


@pytest.fixture(scope="module")
def comparison():
    a, b = (read_scores(HERE / f"scores_{name}.csv") for name in "ab")
    return compare(a, b)


@pytest.mark.parametrize("name", ["wa_pooled", "ua_pooled", "macro_f1", "ece"])
def test_pooled_scores_equal_the_loops(summary, reference, name):
    assert summary[name] == pytest.approx(reference[name], abs=1e-12)


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_fold_scores_equal_the_loops(summary, reference, score):
    of_folds = reference[f"{score}_of_folds"]
    assert summary["fold_table"][score].tolist() == pytest.approx(of_folds, abs=1e-12)
    assert summary[f"{score}_mean"] == pytest.approx(np.mean(of_folds), abs=1e-12)
    assert summary[f"{score}_std"] == pytest.approx(np.std(of_folds, ddof=1), abs=1e-12)


def test_tables_by_class_and_speaker_and_the_confusion_equal_the_loops(summary, reference):
    assert summary["class_table"]["recall"].tolist() == pytest.approx(list(reference["recalls"].values()), abs=1e-12)
    of_speakers = dict(zip(summary["speaker_table"]["speaker"], summary["speaker_table"]["ua"], strict=True))
    assert of_speakers == pytest.approx(reference["ua_of_speakers"], abs=1e-12)
    assert np.array_equal(summary["confusion"], reference["confusion"])


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_intervals_differences_and_p_values_equal_the_loops(summary, comparison, reference, score):
    assert [summary[f"{score}_low"], summary[f"{score}_high"]] == pytest.approx(reference[f"interval_{score}"])
    assert comparison[f"{score}_difference"] == pytest.approx(reference[f"difference_{score}"], abs=1e-12)
    limits = [comparison[f"{score}_low"], comparison[f"{score}_high"]]
    assert limits == pytest.approx(reference[f"paired_interval_{score}"])
    assert comparison[f"{score}_p"] == reference[f"permutation_p_{score}"]


def test_sign_test_over_utterances_equals_the_sum_of_binomials(comparison, reference):
    assert comparison["mcnemar_p"] == pytest.approx(reference["sign_test_p"], rel=1e-12)
