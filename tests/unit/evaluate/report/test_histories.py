"""Training curves and trust in teachers, from the histories of runs."""

from types import SimpleNamespace

import pandas as pd

from akd_toolkit.evaluate.report.histories import histories


def logged(fold, rows, **told):
    """A run with this history."""
    about = {"name": "x", "kind": "outer", "seed": 1, "label_order": ("ang", "sad"), **told}
    return SimpleNamespace(fold=fold, history=lambda: pd.DataFrame(rows), **about)


def shares(epoch, first, labels=("sad", "ang")):
    """One epoch in which the first of two teachers has the share ``first`` for every class."""
    row = {"epoch": epoch, "total": 1.0, "trust/one": first, "trust/two": 1 - first}
    for label in labels:
        row |= {f"trust/one/{label}": first, f"trust/two/{label}": 1 - first}
    return row


def test_trust_is_read_by_class_and_epoch_in_the_order_of_labels_and_teachers():
    runs = [logged(fold, [shares(1, 0.5), shares(2, 0.8)]) for fold in (0, 1)]
    curves, trust, missing = histories(runs)
    assert set(curves["part"]) == {"total", "trust/one", "trust/two"} and not missing
    assert len(trust) == 2 * 2 * 2 * 2  # folds, epochs, teachers, classes
    assert trust["label"].unique().tolist() == ["ang", "sad"]
    assert trust["teacher"].unique().tolist() == ["one", "two"]
    mean = trust.groupby(["epoch", "teacher", "label"])["weight"].mean()
    assert mean[1, "one", "sad"] == 0.5 and mean[2, "one", "ang"] == 0.8
    assert set(trust["fold"]) == {0, 1} and set(trust["seed"]) == {1}


def test_a_class_that_an_epoch_did_not_meet_is_left_out_of_it():
    _, trust, _ = histories([logged(0, [shares(1, 0.5), shares(2, 0.8, labels=("ang",))])])
    assert trust[trust["epoch"] == 2]["label"].unique().tolist() == ["ang"]


def test_there_is_nothing_to_show_of_one_teacher_or_none():
    assert histories([logged(0, [{"epoch": 1, "total": 1.0}])])[1] is None
    alone = {"epoch": 1, "total": 1.0, "trust/one": 1.0, "trust/one/ang": 1.0}
    assert histories([logged(1, [alone])])[1] is None


def test_of_an_inner_run_only_the_curves_of_its_held_out_speakers_are_taken():
    inner = logged(2, [{**shares(1, 0.5), "valid/ua": 0.7}], kind="inner", split=1)
    unvalidated = logged(2, [shares(1, 0.9)], kind="inner", split=2)
    curves, trust, _ = histories([logged(2, [shares(1, 0.5)]), inner, unvalidated])
    valid = curves[curves["split"] == "valid"]
    assert valid[["part", "value", "fold"]].to_numpy().tolist() == [["ua", 0.7, "2, inner 1"]]
    assert set(trust["fold"]) == {2}
