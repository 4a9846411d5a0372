"""Scores of one system by hand, and comparisons of two."""

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.evaluate.report.summary import compare, concordances, mean_agreement, summarise
from akd_toolkit.experiment.scores_file import make_scores
from akd_toolkit.metrics import ccc


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


def test_neither_the_order_of_rows_nor_equal_seeds_change_a_summary(invented, labels):
    scores = invented(seeds=(1,))
    shuffled = summarise(scores.sample(frac=1, random_state=0), labels)
    three = summarise(pd.concat([scores.assign(seed=seed) for seed in (1, 2, 3)], ignore_index=True), labels)
    once = summarise(scores, labels)
    for name in ("wa_mean", "wa_std", "ua_mean", "ua_pooled", "ua_low", "ua_high", "macro_f1", "ece"):
        assert once[name] == pytest.approx(shuffled[name], abs=1e-12) == pytest.approx(three[name], abs=1e-12)
    for score in ("wa", "ua"):
        assert once[f"{score}_low"] < once[f"{score}_pooled"] < once[f"{score}_high"]


def test_attributes_are_scored_by_seed_and_fold_where_their_truth_is_known(rated, labels):
    table = summarise(rated, labels)["attribute_table"].set_index("attribute")
    assert list(table.index) == ["valence", "arousal"] and table["utterances"].tolist() == [60, 54]
    for name, row in table.iterrows():

        def score(rows, name=name):
            return ccc(rows[f"truth_{name}"], rows[f"prediction_{name}"])

        of_folds = [np.mean([score(run) for _, run in fold.groupby("seed")]) for _, fold in rated.groupby("fold")]
        assert [row["ccc_mean"], row["ccc_std"]] == pytest.approx([np.mean(of_folds), np.std(of_folds, ddof=1)])
        pooled = np.mean([score(run) for _, run in rated.groupby("seed")])
        assert row["ccc_pooled"] == pytest.approx(pooled) == pytest.approx(concordances(rated)[name])
        assert row["ccc_low"] < pooled < row["ccc_high"]
    unknown = summarise(rated.assign(truth_valence=np.nan), labels)["attribute_table"]
    assert unknown["attribute"].tolist() == ["arousal"]


def test_a_difference_is_that_of_the_two_summaries_and_changes_sign_when_swapped(invented, labels):
    a, b = invented(skill=2.0), invented(skill=0.5)
    ahead, back = compare(a, b.sample(frac=1, random_state=0)), compare(b, a)
    for score in ("wa", "ua"):
        expected = summarise(a, labels)[f"{score}_pooled"] - summarise(b, labels)[f"{score}_pooled"]
        assert ahead[f"{score}_difference"] == pytest.approx(expected) == pytest.approx(-back[f"{score}_difference"])
        assert ahead[f"{score}_low"] < expected < ahead[f"{score}_high"] == pytest.approx(-back[f"{score}_low"])
        assert ahead[f"{score}_p"] == back[f"{score}_p"]
    assert ahead["mcnemar_p"] == back["mcnemar_p"]
    assert np.mean(list(ahead["ua_by_seed"].values())) == pytest.approx(ahead["ua_difference"])
    assert (ahead["speakers"], ahead["utterances"]) == (6, 60)
    other_seeds = compare(a, invented(skill=0.5, seeds=(7,)))
    assert other_seeds["ua_by_seed"] == {} and other_seeds["ua_difference"] > 0


def test_systems_of_other_utterances_truths_or_labels_are_not_compared(invented, labels):
    a = invented()
    for measure in (compare, mean_agreement):
        with pytest.raises(ValueError, match="same folds"):
            measure(a, a[a["fold"] != 2])
    who = ["a", "b"], ["03", "08"]
    one = make_scores(*who, ["ang", "sad"], np.eye(3)[[0, 2]], labels, fold=0, seed=1)
    with pytest.raises(ValueError, match="truth for utterance b"):
        compare(one, make_scores(*who, ["ang", "neu"], np.eye(3)[[0, 2]], labels, fold=0, seed=1))
    with pytest.raises(ValueError, match="order classes differently"):
        compare(one, make_scores(*who, ["ang", "sad"], np.eye(3)[[2, 0]], labels[::-1], fold=0, seed=1))


def test_agreement_is_the_mean_over_pairs_of_seeds(labels):
    who = ["a", "b"], ["03", "08"], ["ang", "sad"]
    student = make_scores(*who, np.eye(3)[[0, 1]], labels, fold=0, seed=1)
    teacher = pd.concat([make_scores(*who, np.eye(3)[[0, end]], labels, fold=0, seed=end) for end in (1, 2)])
    assert mean_agreement(student, teacher) == 0.75
