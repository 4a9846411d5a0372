import numpy as np
import pandas as pd
import pytest

from akd_toolkit.evaluate.report import summarise
from akd_toolkit.experiment.scores_file import make_scores
from akd_toolkit.metrics import ua, wa


@pytest.fixture
def by_hand(labels):
    """Two folds of one speaker each and two seeds, small enough to score with a pencil."""
    probs_of = {label: np.eye(3)[index] for index, label in enumerate(labels)}
    said = {
        (1, 0): ["ang", "ang", "neu", "sad"],  # 3 of 4; ang 2/2, sad 1/2
        (1, 1): ["neu", "neu"],  # 1 of 2; neu 1/1, sad 0/1
        (2, 0): ["ang", "neu", "neu", "neu"],  # 1 of 4; ang 1/2, sad 0/2
        (2, 1): ["neu", "sad"],  # 2 of 2
    }
    truth = {0: ["ang", "ang", "sad", "sad"], 1: ["neu", "sad"]}
    ids, speaker = {0: ["a", "b", "c", "d"], 1: ["e", "f"]}, {0: "03", 1: "08"}
    runs = []
    for (seed, fold), labels_said in said.items():
        probs = np.stack([probs_of[label] for label in labels_said])
        speakers = [speaker[fold]] * len(ids[fold])
        runs.append(make_scores(ids[fold], speakers, truth[fold], probs, labels, fold, seed))
    return pd.concat(runs, ignore_index=True)


def test_folds_are_averaged_over_seeds_first_and_then_spread(by_hand, labels):
    summary = summarise(by_hand, labels)
    wa_of_folds, ua_of_folds = [(3 / 4 + 1 / 4) / 2, (1 / 2 + 1) / 2], [(3 / 4 + 1 / 4) / 2, (1 / 2 + 1) / 2]
    assert summary["fold_table"]["wa"].tolist() == wa_of_folds
    assert summary["fold_table"]["ua"].tolist() == ua_of_folds
    assert summary["fold_table"]["speakers"].tolist() == ["03", "08"]
    assert [summary["wa_mean"], summary["wa_std"]] == pytest.approx([0.625, 0.125 * 2**0.5])
    assert [summary["ua_mean"], summary["ua_std"]] == pytest.approx([0.625, 0.125 * 2**0.5])


def test_pooled_scores_are_the_mean_over_seeds_of_all_outer_tests_together(by_hand, labels):
    summary = summarise(by_hand, labels)
    assert summary["wa_pooled"] == pytest.approx((4 / 6 + 3 / 6) / 2)
    first, second = (2 / 2 + 1 / 1 + 1 / 3) / 3, (1 / 2 + 1 / 1 + 1 / 3) / 3
    assert summary["ua_pooled"] == pytest.approx((first + second) / 2)
    assert summary["ua_seed_std"] == pytest.approx((first - second) / 2**0.5)
    assert summary["confusion"].tolist() == [[1.5, 0.5, 0], [0, 1, 0], [0, 2, 1]]
    assert summary["class_table"]["utterances"].tolist() == [2, 1, 3]
    assert summary["class_table"]["recall"].tolist() == pytest.approx([3 / 4, 1, 1 / 3])
    assert (summary["folds"], summary["seeds"], summary["speakers"], summary["utterances"]) == (2, 2, 2, 6)


def test_a_class_that_a_speaker_never_speaks_has_no_recall_there(by_hand, labels):
    recalls = summarise(by_hand, labels)["speaker_recalls"]
    assert recalls.loc["03"].tolist() == pytest.approx([0.75, np.nan, 0.25], nan_ok=True)
    assert recalls.loc["08"].tolist() == pytest.approx([np.nan, 1.0, 0.5], nan_ok=True)


def test_one_seed_and_one_fold_have_the_plain_scores_and_no_spread(invented, labels):
    scores = invented(seeds=(1,)).query("fold == 0")
    summary = summarise(scores, labels)
    assert summary["wa_mean"] == summary["wa_pooled"] == wa(scores["truth"], scores["prediction"])
    assert summary["ua_mean"] == summary["ua_pooled"] == ua(scores["truth"], scores["prediction"])
    assert summary["wa_std"] == summary["ua_std"] == summary["ua_seed_std"] == 0


def test_summary_does_not_depend_on_the_order_of_rows_nor_on_their_index(invented, labels):
    scores = invented()
    shuffled = scores.sample(frac=1, random_state=0)
    one, other = summarise(scores, labels), summarise(shuffled, labels)
    assert {name: one[name] for name in one if np.isscalar(one[name])} == pytest.approx(
        {name: other[name] for name in other if np.isscalar(other[name])}
    )


def test_the_interval_holds_the_pooled_score_and_repeats(invented, labels):
    one, again = summarise(invented(), labels), summarise(invented(), labels)
    for score in ("wa", "ua"):
        assert one[f"{score}_low"] < one[f"{score}_pooled"] < one[f"{score}_high"]
        assert one[f"{score}_low"] == again[f"{score}_low"]


def test_seeds_with_the_same_answers_change_nothing(invented, labels):
    one = invented(seeds=(1,))
    three = pd.concat([one.assign(seed=seed) for seed in (1, 2, 3)], ignore_index=True)
    alone, together = summarise(one, labels), summarise(three, labels)
    for name in ("wa_mean", "wa_std", "ua_mean", "ua_pooled", "ua_low", "ua_high", "macro_f1", "ece"):
        assert together[name] == pytest.approx(alone[name], abs=1e-12)


def test_scores_that_cannot_be_trusted_are_refused(invented, labels):
    with pytest.raises(ValueError, match="scores lack the column 'fold'"):
        summarise(invented().drop(columns="fold"), labels)
