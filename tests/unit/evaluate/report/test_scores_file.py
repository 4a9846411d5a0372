"""scores.csv: read and written whole, and refused where no score can be computed from it."""

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.experiment.scores_file import (
    attributes_in,
    check_scores,
    label_order_of,
    make_scores,
    read_scores,
    write_scores,
)


def changed(name, value, row=0):
    def change(scores):
        scores = scores.astype({column: object for column in scores if column.startswith("p_")})
        scores.loc[row, name] = value
        return scores

    return change


BROKEN = {
    **{f"lacks_{name}": (lambda s, n=name: s.drop(columns=n), f"'{name}'") for name in ("ID", "fold", "seed", "p_sad")},
    **{f"nan_{name}": (changed(name, np.nan, row=7), name) for name in ("ID", "speaker", "truth", "p_neu")},
    **{f"joy_{name}": (changed(name, "joy"), rf"utterance00 \({name} 'joy'\)") for name in ("truth", "prediction")},
    "twice": (lambda s: pd.concat([s, s.iloc[[3]]]), "twice"),
    "unfinished_seed": (lambda s: s[~((s["seed"] == 2) & (s["fold"] == 1))], "only some of the 2 seeds"),
    "speaker_in_two_folds": (lambda s: s.assign(fold=s["fold"].mask(s["ID"] == "utterance00", 2)), "speaker '00'"),
    "other_truth": (lambda s: changed("truth", "ang" if s.loc[0, "truth"] != "ang" else "sad")(s), "truth"),
    "not_most_probable": (changed(["p_ang", "p_neu", "p_sad", "prediction"], [0.7, 0.2, 0.1, "neu"]), "'neu'"),
    "no_utterance": (lambda s: s.iloc[:0], "no utterance"),
    **{
        f"probs{number}": (changed(["p_ang", "p_neu", "p_sad"], probs), "utterance00")
        for number, probs in enumerate([[2.0, -1, 0], [0.5, 0.4, 0.4], [np.inf, 0, 0], [0.1, 0.1, 0.1], ["x", 0, 1]])
    },
}


@pytest.mark.parametrize(("change", "key"), BROKEN.values(), ids=BROKEN)
def test_damaged_scores_are_refused_with_the_column_or_utterance(invented, labels, change, key):
    with pytest.raises(ValueError, match=key):
        check_scores(change(invented()), labels)


@pytest.mark.parametrize("order", [["sad", "neu", "ang"], ["ang", "neu"]])
def test_another_label_order_is_refused(invented, order):
    with pytest.raises(ValueError, match="order classes differently"):
        check_scores(invented(), order)


def test_scores_come_back_from_disk_as_they_were(tmp_path, invented, labels):
    write_scores(tmp_path / "run" / "scores.csv", invented())
    pd.testing.assert_frame_equal(read_scores(tmp_path / "run" / "scores.csv", labels), invented())
    order = ["none", "null", "NA"]  # labels, and 03 a name
    write_scores(tmp_path / "scores.csv", make_scores(["1", "2", "3"], ["03"] * 3, order, np.eye(3), order, 0, 1))
    scores = read_scores(tmp_path / "scores.csv")
    assert scores["speaker"].tolist() == ["03"] * 3 and scores["truth"].tolist() == order == label_order_of(scores)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, invented, monkeypatch):
    path = tmp_path / "scores.csv"
    write_scores(path, invented())
    before = path.read_bytes()

    def no_space(self, text, **options):
        self.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(type(path), "write_text", no_space)
    with pytest.raises(OSError, match="no space left"):
        write_scores(path, invented(seeds=(3,)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_missing_an_empty_and_a_torn_file_are_refused_by_path(tmp_path, invented, labels):
    path = tmp_path / "scores.csv"
    with pytest.raises(FileNotFoundError, match=r"scores\.csv"):
        read_scores(path)
    write_scores(path, invented())
    for text in ("", path.read_text()[:-40]):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"scores\.csv: "):
            read_scores(path, labels)


def test_attributes_add_columns_whose_truth_may_be_unknown_but_not_their_prediction(tmp_path, labels):
    one = (["a"], ["03"], ["ang"], [[0.7, 0.2, 0.1]], labels)
    plain = make_scores(*one, fold=0, seed=1)
    rated = make_scores(*one, fold=0, seed=1, attributes={"valence": ([np.nan], [2.5])})
    assert attributes_in(plain) == [] and attributes_in(rated) == ["valence"]
    assert list(rated.columns) == [*plain.columns, "truth_valence", "prediction_valence"]
    write_scores(tmp_path / "scores.csv", rated)
    pd.testing.assert_frame_equal(read_scores(tmp_path / "scores.csv", labels), rated)
    for broken in (rated.assign(prediction_valence=np.nan), rated.drop(columns="prediction_valence")):
        with pytest.raises(ValueError, match="valence"):
            check_scores(broken, labels)
