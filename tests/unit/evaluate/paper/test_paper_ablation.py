"""Table 4: the plan of an ablation comes from its table, every number from the scores of its rows."""

import pandas as pd
import pytest

from akd_toolkit.evaluate.paper import write_paper
from akd_toolkit.evaluate.paper.ablation import ablation_blocks
from akd_toolkit.evaluate.paper.document import Table, Text
from akd_toolkit.evaluate.paper.systems import read_experiments, systems_of
from akd_toolkit.evaluate.report import write_ablation
from akd_toolkit.evaluate.report.ablation import COLUMNS
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.scores_file import read_scores, write_scores


@pytest.fixture
def ablation(experiment, tmp_path, make_corpus):
    """A folder as ``run_ablation`` leaves it: two rows of a student, one of a teacher."""
    rows = []
    wrong = {"micro CNN": ["A-anger0", "C-sadness1"], "micro + KD": ["A-anger0"]}
    for title, missed in wrong.items():
        folder = experiment(str(ExperimentPaths("ablation").row(title)), wrong=missed)
        scores = pd.concat([read_scores(path) for path in sorted(folder.glob("seed*/fold*/outer/scores.csv"))])
        against = None if title == "micro CNN" else "micro CNN"
        plan = {"title": title, "group": "students", "against": against, "scores": scores}
        rows.append({**plan, "student": "micro_cnn", "teachers": "", "params": 163_000, "minutes": 1.0})
    folder = experiment("ablation/teacher", teachers={"big": []}, student=None, done=lambda seed, fold: False)
    scores = read_scores(folder / "teachers/big/scores.csv")
    plan = {"title": "teacher: big", "group": "teachers", "against": None, "scores": scores}
    rows.append({**plan, "student": "", "teachers": "big", "params": 10, "minutes": 0.0})
    write_ablation(tmp_path / "ablation", rows, ["anger", "sadness"], title="Toy: ablation")
    return tmp_path / "ablation"


def lines(folder, to):
    (table,) = (block for block in ablation_blocks(folder, to) if isinstance(block, Table))
    return {row[0]: row for row in table.rows}


def test_a_row_given_by_itself_has_the_title_of_its_row(ablation):
    (system,) = systems_of(read_experiments([ablation / "micro-plus-kd"]))
    assert system.name == "micro + KD"


def test_the_recomputed_table_is_that_of_the_ablation(ablation, tmp_path):
    ablation_blocks(ablation, tmp_path / "out")
    first, again = (pd.read_csv(at / "ablation.csv") for at in (ablation, tmp_path / "out" / "ablation-ablation"))
    pd.testing.assert_frame_equal(first, again)
    assert tuple(again.columns) == COLUMNS and again["ua_pooled"].tolist() == [87.5, 93.8, 100.0]


def test_a_number_in_the_old_table_is_not_believed(ablation, tmp_path):
    table = (ablation / "ablation.csv").read_text()
    (ablation / "ablation.csv").write_text(table.replace("93.8", "99.9"))
    path = ablation / "micro-plus-kd/seed17/fold2/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    assert lines(ablation, tmp_path / "out")["micro + KD"][5].startswith("87.5")  # now two of sixteen are wrong


def test_a_row_without_stored_scores_is_left_out_and_named(ablation, tmp_path):
    (ablation / "teacher/teachers/big/scores.csv").unlink()
    (ablation / "micro-cnn/settings.yaml").unlink()
    blocks = ablation_blocks(ablation, tmp_path / "out")
    assert Text("No stored scores, so left out: micro CNN, teacher: big.", warning=True) in blocks
    kept = lines(ablation, tmp_path / "out")
    assert kept["micro + KD"][1] == "-"  # what it was compared with is gone
    (ablation / "micro-plus-kd/settings.yaml").unlink()
    with pytest.raises(ValueError, match="no row of the ablation .* has stored scores"):
        ablation_blocks(ablation, tmp_path / "out")


def test_a_teacher_is_taken_from_a_row_that_has_it_under_the_same_protocol(ablation, experiment, tmp_path):
    (ablation / "teacher/teachers/big/scores.csv").unlink()
    experiment("ablation/other-views", teachers={"big": ["A-anger0"]}, views=3)
    assert "teacher: big" not in lines(ablation, tmp_path / "out")
    experiment("ablation/same", teachers={"big": []})
    assert lines(ablation, tmp_path / "out")["teacher: big"][5].startswith("100.0")


def test_an_ablation_makes_a_report_alone(ablation, tmp_path):
    page = write_paper([ablation], tmp_path / "out")
    assert (tmp_path / "out/tables/table4-ablation-ablation.csv").is_file()
    assert "Table 4. Ablation, Toy" in page.with_suffix(".md").read_text() and page.read_text().count("<svg") == 1
