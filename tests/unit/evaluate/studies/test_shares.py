"""LiSER's table: systems by the share of labels that they were trained with."""

import shutil

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.cli import main
from akd_toolkit.evaluate.report.summary import compare
from akd_toolkit.evaluate.studies.shares import fused, shares_study, system_of, with_worth
from akd_toolkit.experiment.scores_file import make_scores, write_scores
from akd_toolkit.metrics.scores import ua

FACE = {"face": {"name": "feature_table", "source": "faces.csv"}}
SPEECH = {"speech": {"name": "logmel_statistics"}}
ADAPTER = {"weighting": {"name": "adapter"}, "gate": {"name": "teacher_error"}}


@pytest.fixture
def rows(make_experiment, make_random_scores):
    """Two shares of a student alone and with a face, and one row with two teachers, each better than the last."""

    def row(name, share, sure, teachers=None, objective=None):
        settings = {"label_share": share, "teachers": teachers, "objective": objective}
        one = make_experiment(f"liser/{name}", settings=settings)
        for run in one.outer_runs():
            scores = make_random_scores(one.manifest, run.test_speakers, run.fold, run.seed, sure=sure)
            write_scores(run.paths.scores, scores)
        return one

    seen = row("10-plus-face", 0.1, 2.0, FACE)
    write_scores(seen.paths.teacher_scores("face"), seen.scores())
    return [
        row("10-student", 0.1, 0.0),
        seen,
        row("100-student", None, 2.0),
        row("100-plus-both", 1.0, 3.0, FACE | SPEECH, ADAPTER),
    ]


def test_systems_are_compared_with_the_student_alone_of_the_same_share(rows, tmp_path):
    path = shares_study(rows, tmp_path / "out")
    table = pd.read_csv(path.with_name("table.csv")).set_index(["share", "system"])
    taught, alone = (rows[index].scores() for index in (1, 0))
    line = table.loc[0.1, "+ face"]
    assert line["ua_pooled"] == pytest.approx(ua(taught["truth"], taught["prediction"]))
    assert line["ua_ahead"] == pytest.approx(compare(taught, alone)["ua_difference"])
    assert line["of_full"] == pytest.approx(line["ua_pooled"] / table.loc[1.0, "student alone"]["ua_pooled"])
    assert np.isnan(table.loc[0.1, "student alone"]["ua_ahead"])
    fused = table.loc[0.1, "student and face in the test"]
    assert fused["ua_ahead"] == pytest.approx(fused["ua_pooled"] - table.loc[0.1, "student alone"]["ua_pooled"])
    text = path.read_text()
    assert "+ face + speech (adapter, teacher_error)" in text and "| 10 %" in text and "more than all" in text
    assert path.with_name("plot.png").is_file()


def test_the_command_takes_an_ablations_folder_and_leaves_out_what_is_not_finished(rows, capsys):
    shutil.rmtree(rows[3].outer_runs()[0].folder)
    assert main(["study", "shares", str(rows[0].folder.parent)]) == 0
    shown = capsys.readouterr().out
    assert "student alone" in shown and "adapter" not in shown
    for one in rows[:3]:
        shutil.rmtree(one.outer_runs()[0].folder)
    with pytest.raises(ValueError, match="finished"):
        shares_study(rows, rows[0].folder)


def test_two_rows_of_the_same_system_are_refused_and_equal_weights_named(rows, make_experiment, tmp_path):
    again = make_experiment("liser/again", settings={"label_share": 0.1, "teachers": FACE})
    with pytest.raises(ValueError, match="same share"):
        shares_study([*rows, again], tmp_path)
    even = make_experiment("liser/even", settings={"teachers": FACE | SPEECH, "objective": {}})
    assert system_of(even) == "+ face + speech (equal weights, no gate)"


def test_a_teacher_in_the_test_multiplies_the_posteriors_and_is_left_out_where_it_has_none():
    def of(ids, probs, seed):
        places = [ids, ["A"] * len(ids), ["x"] * len(ids), np.array(probs), ["x", "y"]]
        return make_scores(*places, fold=1, seed=seed)

    student = of(["a", "b"], [[0.6, 0.4], [0.3, 0.7]], seed=17)
    both = fused(student, of(["a"], [[0.2, 0.8]], seed=0))
    assert both["p_x"].tolist() == pytest.approx([0.12 / (0.12 + 0.32), 0.3])
    assert both["prediction"].tolist() == ["y", "y"] and both["ID"].tolist() == ["a", "b"]
    assert fused(student, of(["a"], [[0.9, 0.1]], seed=17))["prediction"].tolist() == ["x", "y"]


def test_worth_is_between_the_shares_of_the_student_alone():
    alone = [(0.1, 0.5), (0.25, 0.45), (0.5, 0.7), (1.0, 0.8)]  # by chance lower with a quarter of the labels
    lines = [{"share": share, "system": "student alone", "ua_pooled": score} for share, score in alone]
    lines += [{"share": 0.1, "system": "+ x", "ua_pooled": score} for score in (0.6, 0.3, 0.9)]
    worth = with_worth(pd.DataFrame(lines))["worth"].tolist()[4:]
    assert worth[0] == pytest.approx(0.375) and np.isnan(worth[1]) and np.isinf(worth[2])
