"""Dimensional labels in scores.csv, in the summary and on the page."""

import re

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.evaluate.report import summarise, write_report
from akd_toolkit.evaluate.report.summary import concordances
from akd_toolkit.experiment.scores_file import attributes_in, check_scores, make_scores, read_scores, write_scores
from akd_toolkit.metrics import ccc

NAMES = ["valence", "arousal"]


@pytest.fixture
def rated(invented):
    """Invented scores with two attributes; the second is predicted well, and unknown for every tenth utterance."""
    scores = invented()
    truth = np.random.default_rng(5).normal(3, 1, (60, 2))[scores["ID"].str[-2:].astype(int)]
    noise = np.random.default_rng(6).normal(0, 1, truth.shape)
    known = scores["ID"].str.endswith("0").map({True: np.nan, False: 1.0})
    columns = {"truth_valence": truth[:, 0], "prediction_valence": 3 + noise[:, 0]}
    columns |= {"truth_arousal": truth[:, 1] * known, "prediction_arousal": truth[:, 1] + 0.3 * noise[:, 1]}
    return scores.assign(**columns)


def test_attributes_add_columns_and_no_attribute_adds_none(labels):
    one = (["a"], ["03"], ["ang"], [[0.7, 0.2, 0.1]], labels)
    plain = make_scores(*one, fold=0, seed=1)
    rated = make_scores(*one, fold=0, seed=1, attributes={"valence": ([np.nan], [2.5])})
    assert attributes_in(plain) == [] and attributes_in(rated) == ["valence"]
    assert list(rated.columns) == [*plain.columns, "truth_valence", "prediction_valence"]
    assert make_scores(*one, fold=0, seed=1, attributes={}).equals(plain)


def test_an_unknown_truth_survives_the_file(tmp_path, rated, labels):
    write_scores(tmp_path / "scores.csv", rated)
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.csv", labels), rated)


def test_a_prediction_that_is_missing_is_refused(rated, labels):
    broken = rated.copy()
    broken.loc[4, "prediction_arousal"] = np.nan
    with pytest.raises(ValueError, match=r"scores of utterance .*: its predicted arousal is not a finite number"):
        check_scores(broken, labels)
    with pytest.raises(ValueError, match="scores lack the column 'prediction_arousal'"):
        check_scores(rated.drop(columns="prediction_arousal"), labels)


def test_summary_is_the_metric_of_seeds_and_folds(rated, labels):
    table = summarise(rated, labels)["attribute_table"].set_index("attribute")
    assert list(table.index) == NAMES and table["utterances"].tolist() == [60, 54]
    for name in NAMES:

        def score(rows, name=name):
            return ccc(rows[f"truth_{name}"], rows[f"prediction_{name}"])

        of_folds = [
            np.mean([score(rated.query(f"fold == {fold} and seed == {seed}")) for seed in (1, 2)]) for fold in range(3)
        ]
        row = table.loc[name]
        pooled = np.mean([score(rated.query(f"seed == {seed}")) for seed in (1, 2)])
        assert [row["ccc_mean"], row["ccc_std"]] == pytest.approx([np.mean(of_folds), np.std(of_folds, ddof=1)])
        assert row["ccc_pooled"] == pytest.approx(pooled) == pytest.approx(concordances(rated)[name])
        assert row["ccc_low"] < pooled < row["ccc_high"]
    assert table.loc["arousal", "ccc_low"] > 0.8 > 0.4 > table.loc["valence", "ccc_high"]


def test_an_attribute_that_nobody_knows_has_no_row(rated, labels):
    unknown = rated.assign(truth_valence=np.nan)
    assert summarise(unknown, labels)["attribute_table"]["attribute"].tolist() == ["arousal"]


def test_page_shows_the_attributes_and_those_of_teachers_that_have_any(tmp_path, rated, invented, labels):
    teachers = {"knows": rated.assign(prediction_valence=rated["truth_valence"]), "silent": invented()}
    write_report(tmp_path, rated, labels, title="EmoDB", teachers=teachers)
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| teacher knows, pooled |" in page and "teacher silent" not in page
    cells = r"\d+ \| -?\d\.\d{3} ± \d\.\d{3} \| -?\d\.\d{3} \| \[-?\d\.\d{3}, \d\.\d{3}\] \| 1\.000 \|"
    assert re.search(rf"^\| valence \| {cells}$", page, flags=re.M)


def test_page_of_a_corpus_without_attributes_does_not_speak_of_them(tmp_path, invented, labels):
    write_report(tmp_path, invented(), labels, title="EmoDB")
    assert "CCC" not in (tmp_path / "report.md").read_text(encoding="utf-8")
