import numpy as np
import pytest

from akd_toolkit.evaluate.report import compare, mean_agreement, summarise
from akd_toolkit.experiment.scores_file import make_scores


def test_difference_equals_that_of_the_two_summaries(invented, labels):
    a, b = invented(skill=2.0), invented(skill=0.5)
    ahead = compare(a, b)
    for score in ("wa", "ua"):
        expected = summarise(a, labels)[f"{score}_pooled"] - summarise(b, labels)[f"{score}_pooled"]
        assert ahead[f"{score}_difference"] == pytest.approx(expected)
        assert ahead[f"{score}_low"] < expected < ahead[f"{score}_high"]
    assert np.mean(list(ahead["ua_by_seed"].values())) == pytest.approx(ahead["ua_difference"])
    assert (ahead["speakers"], ahead["utterances"]) == (6, 60)


def test_swapping_the_systems_changes_the_sign_and_no_p_value(invented):
    a, b = invented(skill=2.0), invented(skill=0.5)
    forth, back = compare(a, b), compare(b, a)
    assert forth["ua_difference"] == pytest.approx(-back["ua_difference"])
    assert forth["ua_low"] == pytest.approx(-back["ua_high"])
    for name in ("ua_p", "wa_p", "mcnemar_p"):
        assert forth[name] == back[name]


def test_a_system_is_not_ahead_of_itself(invented):
    ahead = compare(invented(), invented())
    assert (ahead["ua_difference"], ahead["ua_low"], ahead["ua_high"]) == (0, 0, 0)
    assert ahead["ua_p"] == ahead["wa_p"] == ahead["mcnemar_p"] == 1


def test_rows_may_come_in_another_order(invented):
    a, b = invented(skill=2.0), invented(skill=0.5)
    assert compare(a, b.sample(frac=1, random_state=0)) == compare(a, b)


def test_systems_with_other_seeds_are_compared_by_their_means(invented):
    ahead = compare(invented(skill=2.0, seeds=(1, 2)), invented(skill=0.5, seeds=(7,)))
    assert ahead["ua_by_seed"] == {} and ahead["ua_difference"] > 0


def test_other_utterances_are_refused_by_name(invented):
    a = invented()
    with pytest.raises(
        ValueError, match=r"utterance utterance\d\d was scored by only one .* run both on the same folds"
    ):
        compare(a, a[a["fold"] != 2])
    with pytest.raises(ValueError, match="run both on the same folds"):
        mean_agreement(a, a[a["fold"] != 2])


def test_another_truth_of_the_same_utterance_is_refused(labels):
    who = ["a", "b"], ["03", "08"]
    a = make_scores(*who, ["ang", "sad"], np.eye(3)[[0, 2]], labels, fold=0, seed=1)
    b = make_scores(*who, ["ang", "neu"], np.eye(3)[[0, 2]], labels, fold=0, seed=1)
    with pytest.raises(
        ValueError, match="give utterance b different values of truth; compare runs on the same manifest"
    ):
        compare(a, b)


def test_another_label_order_is_refused(invented, labels):
    a = make_scores(["a"], ["03"], ["ang"], np.eye(3)[[0]], labels, fold=0, seed=1)
    b = make_scores(["a"], ["03"], ["ang"], np.eye(3)[[2]], labels[::-1], fold=0, seed=1)
    with pytest.raises(ValueError, match="order classes differently"):
        compare(a, b)


def test_agreement_is_the_mean_over_pairs_of_seeds(labels):
    who = ["a", "b"], ["03", "08"], ["ang", "sad"]
    student = make_scores(*who, np.eye(3)[[0, 1]], labels, fold=0, seed=1)
    teacher = make_scores(*who, np.eye(3)[[0, 2]], labels, fold=0, seed=9)
    assert mean_agreement(student, teacher) == 0.5
