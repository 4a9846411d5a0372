"""Agreement of a student with its teachers."""

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.evaluate.studies import agreement_study
from akd_toolkit.evaluate.studies.agreement import agreement_row, paired
from akd_toolkit.experiment.scores_file import make_scores, write_scores

LABELS = ["L", "A", "N"]


def scores_of(predicted, truth="LLAANN", seed=17, sure=0.8):
    """One utterance a letter, by two speakers in turn."""
    rest = (1 - sure) / 2
    probs = [[sure if label == letter else rest for label in LABELS] for letter in predicted]
    ids = [f"u{n}" for n in range(len(predicted))]
    return make_scores(ids, ["03", "08"] * (len(predicted) // 2), list(truth), probs, LABELS, 1, seed)


def test_shares_by_hand():
    #            truth LLAANN
    student = scores_of("LAAANL")
    teacher = scores_of("LAANAN", seed=0)
    row = agreement_row(paired(student, teacher))
    assert row["agreement"] == pytest.approx(3 / 6)  # u0, u1, u2
    assert row["teacher_right"] == pytest.approx(3 / 6) and row["teacher_errors"] == 3  # wrong: u1, u3, u4
    assert row["repeated"] == pytest.approx(1 / 3)  # u1
    assert row["corrected"] == pytest.approx(2 / 3)  # u3, u4
    assert row["kept"] == pytest.approx(2 / 3)  # u0, u2, not u5


def test_divergences_by_hand():
    student, teacher = scores_of("LLAANN", sure=0.5), scores_of("LLAANN", seed=0)
    pairs = paired(student, teacher)
    kl = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.1 / 0.25)
    m, n = 0.65, 0.175
    js = 0.5 * (0.8 * np.log(0.8 / m) + 0.2 * np.log(0.1 / n)) + 0.5 * (0.5 * np.log(0.5 / m) + 0.5 * np.log(0.25 / n))
    np.testing.assert_allclose(pairs["kl"], kl)
    np.testing.assert_allclose(pairs["js"], js)
    assert agreement_row(pairs)["kl_low"] == pytest.approx(kl)  # all alike: no width


def test_seeds_are_averaged_and_a_perfect_teacher_has_no_mistakes_to_repeat():
    student = pd.concat([scores_of("LLAANN", seed=1), scores_of("LLAAAA", seed=2)])
    row = agreement_row(paired(student, scores_of("LLAANN", seed=0)))
    assert row["agreement"] == pytest.approx(10 / 12) and np.isnan(row["repeated"]) and row["teacher_errors"] == 0


def test_the_table_of_an_experiment(corpus, make_experiment, make_random_scores):
    found = make_experiment("akd", seeds=(1, 2), settings={"teachers": {"big": {"name": "x"}}})
    with pytest.raises(ValueError, match="no scores of teachers"):
        agreement_study([found])
    parts = [make_random_scores(corpus, run.test_speakers, run.fold, 0, sure=3.0) for run in found.outer_runs()[:2]]
    write_scores(found.folder / "teachers/big/scores.csv", pd.concat(parts))
    path = agreement_study([found])
    table, classes = (pd.read_csv(path.with_name(name)) for name in ("table.csv", "classes.csv"))
    of_teacher = pd.concat(parts).set_index("ID")["prediction"]
    scores = found.scores()
    same = scores["prediction"].to_numpy() == of_teacher[scores["ID"]].to_numpy()
    assert table["agreement"][0] == pytest.approx(np.mean(same))
    assert classes["label"].tolist() == ["anger", "boredom", "neutral"] and classes["utterances"].tolist() == [8, 8, 8]
    assert "| toy: akd | big | " in path.read_text()
