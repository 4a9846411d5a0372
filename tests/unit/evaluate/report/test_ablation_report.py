"""The table, page and picture of an ablation, and the same recomputed by ``akd report``."""

import pandas as pd
import pytest

from akd_toolkit.data.manifest import MARK, WATERMARK
from akd_toolkit.evaluate.report.ablation_report import COLUMNS, read_ablation, write_ablation
from akd_toolkit.evaluate.report.comparisons import Parts
from akd_toolkit.evaluate.report.extras import ablation_part
from akd_toolkit.evaluate.report.full_report import report_experiments
from akd_toolkit.evaluate.report.summary import compare, summarise
from akd_toolkit.evaluate.report.systems import read_experiments, systems_of
from akd_toolkit.experiment.paths import ExperimentPaths
from akd_toolkit.experiment.scores_file import read_scores, write_scores
from akd_toolkit.metrics import holm

NAMES = ["ablation.csv", "ablation.md", "ablation.png", "ablation.svg"]


@pytest.fixture
def rows(invented):
    """A teacher without seeds, a student, and two rows that are compared with others."""

    def entry(title, group, against, scores, student="micro_cnn"):
        return {
            **{"title": title, "group": group, "against": against, "scores": scores},
            **{"student": student, "teachers": "a + b", "params": 163_000, "minutes": 12.34},
        }

    return [
        entry("teachers: a", "Table 4", None, invented(skill=3.0, seeds=(7,)), student=""),
        entry("student", "Table 4", "teachers: a", invented(skill=0.2)),
        entry("AKD", "Table 4", "student", invented(skill=2.0)),
        entry("no gate", "without one ingredient", "AKD", invented(skill=1.9)),
    ]


def test_every_row_has_the_scores_of_its_summary_and_the_differences_of_a_comparison(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows, labels, title="EmoDB").set_index("system")
    for row in rows:
        found = summarise(row["scores"], labels)
        for name in ("wa_pooled", "ua_pooled", "wa_low", "ua_high", "ua_seed_std", "folds", "seeds", "speakers"):
            assert table.loc[row["title"], name] == found[name]
    ahead = compare(rows[2]["scores"], rows[1]["scores"])
    for score in ("ua", "wa"):
        found = [ahead[f"{score}_{part}"] for part in ("difference", "low", "high", "p")]
        kept = [f"{score}_{part}" for part in ("ahead", "ahead_low", "ahead_high", "p")]
        assert table.loc["AKD", kept].tolist() == found
    assert table.loc["AKD", "ua_by_seed"] == list(ahead["ua_by_seed"].values())
    compared = table["against"] != ""
    assert table.loc[compared, "ua_p_holm"].tolist() == holm(table.loc[compared, "ua_p"]).tolist()
    assert table.loc[~compared, ["ua_ahead", "wa_p", "wa_p_holm"]].isna().all(axis=None)


def test_rows_that_are_not_speaker_independent_say_so_in_table_file_and_page(tmp_path, rows, labels):
    rows[0]["group"] = rows[1]["group"] = rows[2]["group"] = ""
    table = write_ablation(tmp_path, rows, labels, title="Calls", speakers_known=False)
    groups = {f"{MARK}: all rows", f"{MARK}: without one ingredient"}
    assert set(table["group"]) == groups == set(read_ablation(tmp_path / "ablation.csv")["group"])
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert WATERMARK in page and "not by speaker" in page and "of 6 speakers in" not in page


def test_rows_that_cannot_be_compared_are_refused_and_the_files_kept(tmp_path, rows, labels, invented):
    write_ablation(tmp_path, rows, labels, title="EmoDB")
    before = [(tmp_path / name).read_bytes() for name in NAMES]
    other_seeds, fewer = invented(seeds=(1, 3)), invented().query("fold < 2")
    for wrong, message in ((other_seeds, "'no gate' has the seeds 1, 3"), (fewer, "only one of the two systems")):
        with pytest.raises(ValueError, match=message):
            write_ablation(tmp_path, [*rows[:3], rows[3] | {"scores": wrong}], labels, title="EmoDB")
    assert before == [(tmp_path / name).read_bytes() for name in NAMES]


@pytest.fixture
def ablation(experiment, tmp_path):
    """A folder as ``run_ablation`` leaves it: two rows of a student, one of a teacher."""
    rows = []
    for title, wrong in {"micro CNN": ["A-anger0", "C-sadness1"], "micro + KD": ["A-anger0"]}.items():
        folder = experiment(str(ExperimentPaths("ablation").row(title)), wrong=wrong)
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


def recomputed(folder, to):
    """The recomputed part and its table by row."""
    parts = Parts(to)
    part = ablation_part(parts, folder)
    return part, parts.tables["table4-ablation-ablation"].set_index("system")


def test_an_ablation_makes_a_report_alone_with_the_same_table(ablation, tmp_path):
    page = report_experiments([ablation], tmp_path / "out")
    first, again = (pd.read_csv(at / "ablation.csv") for at in (ablation, tmp_path / "out" / "ablation-ablation"))
    pd.testing.assert_frame_equal(first, again)
    assert tuple(again.columns) == COLUMNS and again["ua_pooled"].tolist() == [87.5, 93.8, 100.0]
    assert (tmp_path / "out/tables/table4-ablation-ablation.csv").is_file()
    assert "Table 4. Ablation, Toy" in page.with_suffix(".md").read_text() and page.read_text().count("<img") == 1
    (system,) = systems_of(read_experiments([ablation / "micro-plus-kd"]))
    assert system.name == "micro + KD"


def test_numbers_come_from_scores_and_not_from_the_old_table(ablation, tmp_path):
    table = (ablation / "ablation.csv").read_text()
    (ablation / "ablation.csv").write_text(table.replace("93.8", "99.9"))
    path = ablation / "micro-plus-kd/seed17/fold2/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    _, rows = recomputed(ablation, tmp_path / "out")
    assert rows.loc["micro + KD", "UA pooled [95 %]"].startswith("87.5")  # now two of sixteen are wrong


def test_a_row_without_stored_scores_is_left_out_and_named(ablation, tmp_path):
    (ablation / "teacher/teachers/big/scores.csv").unlink()
    (ablation / "micro-cnn/settings.yaml").unlink()
    part, rows = recomputed(ablation, tmp_path / "out")
    assert part["lost"] == ["micro CNN", "teacher: big"]
    assert rows.loc["micro + KD", "against"] == "-"
    (ablation / "micro-plus-kd/settings.yaml").unlink()
    with pytest.raises(ValueError, match="no row of the ablation"):
        recomputed(ablation, tmp_path / "out")


def test_studies_of_an_ablation_are_shown_under_its_name(ablation, tmp_path):
    study = ablation / "studies" / "shares"
    study.mkdir(parents=True)
    (study / "table.md").write_text("# Shares of the labels\n\n| labels | UA |\n|---|---:|\n| 10 % | 50.0 |\n")
    (study / "table.csv").write_text("share,ua\n0.1,0.5\n")
    page = report_experiments([ablation], tmp_path / "out").with_suffix(".md").read_text()
    assert "Toy: ablation: shares" in page and "| 10 % | 50.0 |" in page
    assert (tmp_path / "out/tables/study-toy-ablation-shares-table.csv").is_file()
