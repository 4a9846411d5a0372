"""What a report shows of the trust in teachers, read from the runs' logs."""

from types import SimpleNamespace

import pandas as pd

from akd_toolkit.recipe import _trust


def logged(folder, fold, rows):
    """A run that has left ``rows`` in its metrics.csv."""
    folder = folder / f"fold{fold}"
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return SimpleNamespace(folder=folder, fold=fold, seed=1, manifest=SimpleNamespace(label_order=["ang", "sad"]))


def shares(epoch, first, labels=("sad", "ang")):
    """One epoch in which the first of two teachers has the share ``first`` for every class."""
    row = {"epoch": epoch, "total": 1.0, "trust/one": first, "trust/two": 1 - first}
    for label in labels:
        row |= {f"trust/one/{label}": first, f"trust/two/{label}": 1 - first}
    return row


def test_trust_is_read_by_class_and_epoch_in_the_order_of_labels_and_teachers(tmp_path):
    runs = [logged(tmp_path, fold, [shares(1, 0.5), shares(2, 0.8)]) for fold in (0, 1)]
    trust = _trust(runs)
    assert len(trust) == 2 * 2 * 2 * 2  # folds, epochs, teachers, classes
    assert trust["label"].unique().tolist() == ["ang", "sad"]
    assert trust["teacher"].unique().tolist() == ["one", "two"]
    mean = trust.groupby(["epoch", "teacher", "label"])["weight"].mean()
    assert mean[1, "one", "sad"] == 0.5 and mean[2, "one", "ang"] == 0.8
    assert set(trust["fold"]) == {0, 1} and set(trust["seed"]) == {1}


def test_a_class_that_an_epoch_did_not_meet_is_left_out_of_it(tmp_path):
    trust = _trust([logged(tmp_path, 0, [shares(1, 0.5), shares(2, 0.8, labels=("ang",))])])
    assert trust[trust["epoch"] == 2]["label"].unique().tolist() == ["ang"]


def test_there_is_nothing_to_show_of_one_teacher_or_none(tmp_path):
    assert _trust([logged(tmp_path, 0, [{"epoch": 1, "total": 1.0}])]) is None
    alone = {"epoch": 1, "total": 1.0, "trust/one": 1.0, "trust/one/ang": 1.0}
    assert _trust([logged(tmp_path, 1, [alone])]) is None
