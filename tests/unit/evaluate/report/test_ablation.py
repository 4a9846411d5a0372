"""The table, page and picture of an ablation, and the same recomputed by ``akd report``."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from akd_toolkit.data.watermark import MARK, WATERMARK
from akd_toolkit.evaluate.report import ablation_markdown, compare, read_ablation, summarise, write_ablation
from akd_toolkit.evaluate.report.ablation import COLUMNS, plot_ablation
from akd_toolkit.evaluate.report.comparisons import Parts
from akd_toolkit.evaluate.report.extras import ablation_part
from akd_toolkit.evaluate.report.report import write_paper
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


def test_files_hold_the_table(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows, labels, title="EmoDB", generated=True, planned=6)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    written = read_ablation(tmp_path / "ablation.csv")
    assert written["ua_pooled"].tolist() == [f"{100 * share:.1f}" for share in table["ua_pooled"]]
    assert written["ua_ahead"].tolist() == ["", *(f"{100 * share:+.1f}" for share in table["ua_ahead"][1:])]
    page = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert page.startswith("# EmoDB\n\n> **The corpus is generated")
    assert "**4 of 6 rows done.** 60 utterances of 6 speakers in 3 outer folds by speaker" in page
    assert ablation_markdown(tmp_path / "ablation.csv") in page and "](ablation.png)" in page
    last = written.iloc[-1]
    wanted = f"| no gate | AKD | 0.16 M | 3 x 2 | {last.wa_pooled} [{last.wa_low}, {last.wa_high}] | {last.ua_pooled} ["
    assert wanted in page
    assert re.findall(r"^\| \*\*(.+?)\*\*", page, flags=re.M) == ["Table 4", "without one ingredient"]
    assert "0.031" in page and "0.094" in page  # 2 / 64, the least p of 6 speakers, and 3 times it
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1
    write_ablation(tmp_path / "again", rows, labels, title="EmoDB", generated=True, planned=6)
    assert all((tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in NAMES)


def test_a_row_whose_comparison_is_not_done_yet_has_none(tmp_path, rows, labels):
    table = write_ablation(tmp_path, rows[3:], labels, title="EmoDB", planned=4)
    assert table["ua_p"].isna().all() and "**1 of 4 rows done.**" in (tmp_path / "ablation.md").read_text()


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
    other_seeds, fewer = (
        rows[3] | {"scores": invented(seeds=(1, 3))},
        rows[3] | {"scores": invented().query("fold < 2")},
    )
    for wrong, message in ((other_seeds, "'no gate' has the seeds 1, 3"), (fewer, "only one of the two systems")):
        with pytest.raises(ValueError, match=message):
            write_ablation(tmp_path, [*rows[:3], wrong], labels, title="EmoDB")
    assert before == [(tmp_path / name).read_bytes() for name in NAMES]


def test_a_missing_file_and_one_with_other_columns_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ablation\.csv"):
        read_ablation(tmp_path / "ablation.csv")
    (tmp_path / "ablation.csv").write_text("system,ua\nno gate,99\n")
    with pytest.raises(ValueError, match="has the columns system, ua"):
        read_ablation(tmp_path / "ablation.csv")


def test_picture_fills_the_dots_whose_interval_excludes_zero_and_cuts_no_text(tmp_path, drawn):
    draw = np.random.default_rng(0)
    titles = ["no gate", "W" * 12, "decoupled_kd, 8 epochs of warm-up", "$alpha_1$ + a rather long name of six words"]
    lines = []
    for index in range(24):
        ahead, compared = draw.normal(scale=0.05), index % 6 > 0
        line = {"group": f"group {index // 6}", "system": f"{index} {titles[index % 4]}", "ua_pooled": 0.7 + ahead}
        limits = [ahead, ahead - 0.02, ahead + 0.03] if compared else [np.nan] * 3
        line |= zip(("ua_ahead", "ua_ahead_low", "ua_ahead_high"), limits)
        seeds = [ahead - 0.04, ahead + 0.04] if compared else []
        lines.append({**line, "against": f"{index - index % 6} reference" if compared else "", "ua_by_seed": seeds})
    table = pd.DataFrame(lines)
    plot_ablation(
        table, [tmp_path / "a.png"], title="EmoDB: an ablation whose title is so long that it takes two lines"
    )
    (axes,) = drawn[0].axes
    dots = [line for line in axes.lines if line.get_marker() == "o" and not np.isnan(line.get_xdata()[0])]
    compared = table[table["against"] != ""]
    assert len(dots) == len(compared) == 20
    for dot, row in zip(dots, compared.itertuples(), strict=True):
        assert dot.get_xdata()[0] == pytest.approx(100 * row.ua_ahead)
        assert (to_hex(dot.get_markerfacecolor()) == "#ffffff") == (row.ua_ahead_low <= 0 <= row.ua_ahead_high)
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 28 and all(box.x0 >= 0 and box.x1 <= drawn[0].bbox.width for box in boxes)
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))


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
    page = write_paper([ablation], tmp_path / "out")
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


def test_a_teacher_is_taken_from_a_row_that_has_it_under_the_same_protocol(ablation, experiment, tmp_path):
    (ablation / "teacher/teachers/big/scores.csv").unlink()
    experiment("ablation/other-views", teachers={"big": ["A-anger0"]}, views=3)
    assert "teacher: big" not in recomputed(ablation, tmp_path / "out")[1].index
    experiment("ablation/same", teachers={"big": []})
    assert recomputed(ablation, tmp_path / "out")[1].loc["teacher: big", "UA pooled [95 %]"].startswith("100.0")
