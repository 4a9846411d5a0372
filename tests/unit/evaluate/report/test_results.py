"""results.csv, and the tables of a README made from it."""

import runpy
import threading
from pathlib import Path

import pytest

from akd_toolkit.data.manifest import WATERMARK, is_marked, marked
from akd_toolkit.evaluate.report.ablation_report import ablation_markdown, read_ablation, write_ablation
from akd_toolkit.evaluate.report.results import (
    COLUMNS,
    append_results,
    check_readme,
    publish_results,
    read_results,
    results_row,
    results_table_markdown,
    sync_readme,
)
from akd_toolkit.evaluate.report.summary import summarise

HEADER = (
    "corpus,recipe,system,student,teachers,params,folds,seeds,wa_mean,wa_std,ua_mean,ua_std,wa_pooled,ua_pooled,"
    "ua_low,ua_high,minutes,commit,date"
)
PAGE = "# EmoDB\n\n<!-- results -->\n<!-- /results -->\n\nWhat did not work.\n"
WITH_ABLATION = f"{PAGE}\n<!-- ablation -->\n<!-- /ablation -->\n\nThe end.\n"
TOOL = Path(__file__).parents[4] / "tools" / "publish_results.py"


def test_file_has_exactly_the_promised_columns_and_percent_with_one_decimal(tmp_path, row):
    append_results(tmp_path / "deep" / "results.csv", row())
    assert (tmp_path / "deep" / "results.csv").read_text() == (
        f"{HEADER}\n"
        "EmoDB,akd,akd,micro_cnn,whisper,163000,5,3,80.1,4.1,75.4,4.8,80.6,79.0,75.1,82.7,12.3,0a1b2c3,2026-01-31\n"
    )


def test_the_same_system_replaces_its_row_in_place_and_any_other_name_adds_one(tmp_path, row):
    path = tmp_path / "results.csv"
    for change in ({}, {"system": "kd", "recipe": "kd"}, {"ua_pooled": 0.9, "seeds": 5}):
        append_results(path, row(**change))
    assert read_results(path)["ua_pooled"].tolist() == ["90.0", "79.0"]
    for number, name in enumerate(["corpus", "recipe", "student", "teachers"], start=3):
        append_results(path, row(**{name: 'NA, "quoted"\nline'}))
        assert len(read_results(path)) == number and read_results(path)[name].iloc[-1] == 'NA, "quoted" line'


def test_runs_that_end_together_lose_no_row(tmp_path, row):
    path = tmp_path / "results.csv"
    students = [f"student_{index}" for index in range(8)]
    writers = [threading.Thread(target=append_results, args=(path, row(student=name))) for name in students]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(read_results(path)["student"]) == students


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"ua_pooled": 79.0}, "ua_pooled"),
        ({"ua_low": float("nan")}, "ua_low"),
        ({"system": "ours"}, "ours"),
        ({"recipe": "ablation", "system": " "}, "system"),
    ],
)
def test_a_row_that_does_not_belong_is_refused(row, change, key):
    with pytest.raises(ValueError, match=key):
        row(**change)


def test_a_file_that_is_missing_or_has_other_columns_or_systems_is_refused_and_kept(tmp_path, row):
    path = tmp_path / "results.csv"
    with pytest.raises(FileNotFoundError, match=r"results\.csv"):
        read_results(path)
    path.write_text("corpus,ua\nEmoDB,99\n")
    with pytest.raises(ValueError, match="has the columns corpus, ua"):
        append_results(path, row())
    assert path.read_text() == "corpus,ua\nEmoDB,99\n"
    path.write_text(f"{HEADER}\nEmoDB,akd,best{',' * (len(COLUMNS) - 3)}\n")
    with pytest.raises(ValueError, match="'best'"):
        read_results(path)


def test_publishing_keeps_what_the_run_did_not_make_and_replaces_an_ablation_whole(tmp_path, row):
    published, run = tmp_path / "published.csv", tmp_path / "run.csv"
    for change in ({"recipe": "ablation", "system": "old title"}, {}, {"system": "kd"}):
        append_results(published, row(**change))
    append_results(run, row(ua_pooled=0.9))
    assert publish_results(published, read_results(run))["system"].tolist() == ["akd", "kd", "old title"]
    for system in "ba":
        append_results(run, row(system=system, recipe="ablation"))
    table = publish_results(published, read_results(run))
    assert table["system"].tolist() == ["akd", "kd", "b", "a"]  # in the run's order
    assert table["ua_pooled"].tolist() == ["90.0", "79.0", "79.0", "79.0"]
    assert read_results(published).equals(table)


@pytest.fixture
def recipe(tmp_path, row, monkeypatch):
    """The folder of a recipe with five rows of results and a page; the working folder of the test."""
    monkeypatch.chdir(tmp_path)
    for system in ("akd", "kd", "student"):
        append_results("results.csv", row(system=system, recipe=system))
    append_results("results.csv", row(system="teacher", recipe="teacher", student="", params=16_300_000))
    append_results("results.csv", row(student="another_cnn"))
    Path("README.md").write_text(WITH_ABLATION, encoding="utf-8")
    sync_readme("README.md", "results.csv")
    return tmp_path


@pytest.fixture
def ablated(tmp_path, invented, labels):
    """The folder of an ablation of two rows, with the results.csv that its runs have left."""
    folder = tmp_path / "run"
    shared, rows = {"student": "micro_cnn", "params": 163_000, "minutes": 12.34}, []
    for title, against, skill in (("AKD", None, 2.0), ("no gate", "AKD", 1.0)):
        scores = invented(skill=skill)
        rows.append({"title": title, "group": "without", "against": against, "scores": scores, "teachers": "a + b"})
        named = {"corpus": "EmoDB", "recipe": "ablation", "system": title, "teachers": ["a", "b"], "commit": "0a1b2c3"}
        append_results(folder / "results.csv", results_row(summarise(scores, labels), **named, **shared))
    write_ablation(folder, [row | shared for row in rows], labels, title="EmoDB")
    return folder


def publish(*arguments):
    return runpy.run_path(str(TOOL))["main"]([str(argument) for argument in arguments])


def test_a_page_gets_the_table_student_kd_akd_teacher_between_its_markers(recipe):
    page, table = Path("README.md").read_text(encoding="utf-8"), results_table_markdown("results.csv")
    block = "<!-- ablation -->\n\nNo ablation has been published.\n\n<!-- /ablation -->"
    empty = "<!-- ablation -->\n<!-- /ablation -->"
    assert page == WITH_ABLATION.replace("-->\n<!-- /results", f"-->\n\n{table}\n\n<!-- /results").replace(empty, block)
    rows = [[cell.strip() for cell in line.split("|")[3:5]] for line in table.splitlines()[2:]]
    of_student = [["student", "micro_cnn"], ["kd", "micro_cnn"], ["akd", "micro_cnn"]]
    assert rows == [["akd", "another_cnn"], *of_student, ["teacher", "-"]]
    assert table.splitlines()[5] == (
        "| EmoDB | akd | akd | micro_cnn | whisper | 0.16 M | 5 x 3 | 80.1 ± 4.1 | 75.4 ± 4.8 | 80.6 | "
        "79.0 [75.1, 82.7] | 12.3 | 0a1b2c3 | 2026-01-31 |"
    )
    assert sync_readme("README.md", "results.csv") is False
    check_readme("README.md", "results.csv")


def test_a_page_whose_table_was_edited_or_is_old_is_refused(recipe, row):
    good = Path("README.md").read_text(encoding="utf-8")
    for page, change in ((good.replace("79.0", "89.0"), {}), (good, {"ua_pooled": 0.5})):
        Path("README.md").write_text(page, encoding="utf-8")
        append_results("results.csv", row(**change))
        with pytest.raises(ValueError, match="by hand"):
            check_readme("README.md", "results.csv")


@pytest.mark.parametrize("page", ["# EmoDB\n", "<!-- /results -->\n<!-- results -->\n", PAGE + "<!-- results -->\n"])
def test_a_page_without_its_two_markers_in_order_is_refused_and_kept(recipe, page):
    Path("README.md").write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match="<!-- results -->"):
        sync_readme("README.md", "results.csv")
    assert Path("README.md").read_text(encoding="utf-8") == page
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_readme("nowhere.md", "results.csv")


def test_an_ablation_is_published_into_its_own_block_and_the_other_rows_stay(recipe, ablated, row):
    main = results_table_markdown("results.csv")
    append_results("results.csv", row(recipe="ablation", system="of an earlier run"))
    assert publish(ablated / "results.csv", ablated) == 0
    page = Path("README.md").read_text(encoding="utf-8")
    assert f"<!-- results -->\n\n{main}\n\n<!-- /results -->" in page
    block = f"](ablation.svg)\n\n{ablation_markdown(ablated / 'ablation.csv')}\n\n<!-- /ablation -->\n\nThe end.\n"
    assert page.endswith(block) and Path("ablation.svg").is_file()
    assert read_results("results.csv")["system"].tolist()[-2:] == ["AKD", "no gate"]
    check_readme("README.md", "results.csv")
    assert publish(ablated / "results.csv", ablated) == 0  # twice is the same as once
    assert Path("README.md").read_text(encoding="utf-8") == page


def test_an_ablation_needs_its_table_and_a_place_on_the_page(recipe, ablated, capsys):
    before = Path("results.csv").read_bytes()
    assert publish(ablated / "results.csv") == 1
    assert "ablation.csv" in capsys.readouterr().err and Path("results.csv").read_bytes() == before
    Path("README.md").write_text(PAGE, encoding="utf-8")
    assert publish(ablated / "results.csv", ablated) == 1
    assert "<!-- ablation -->" in capsys.readouterr().err


def test_tables_that_differ_and_a_missing_picture_are_refused(recipe, ablated, row):
    publish(ablated / "results.csv", ablated)
    before = Path("ablation.csv").read_text()
    table = read_ablation("ablation.csv")
    table.loc[1, "ua_low"] = "99"
    table.to_csv("ablation.csv", index=False)
    with pytest.raises(ValueError, match="'no gate' has ua_low '99'"):
        check_readme("README.md", "results.csv")
    Path("ablation.csv").write_text(before)
    append_results("results.csv", row(recipe="ablation", system="forgotten"))
    with pytest.raises(ValueError, match=r"'forgotten' is in .*results.csv but not in .*ablation.csv"):
        check_readme("README.md", "results.csv")
    publish_results("results.csv", read_results(ablated / "results.csv").iloc[:1])
    with pytest.raises(ValueError, match=r"'no gate' is in .*ablation.csv but not in .*results.csv"):
        check_readme("README.md", "results.csv")
    publish(ablated / "results.csv", ablated)
    Path("ablation.svg").unlink()
    with pytest.raises(FileNotFoundError, match=r"ablation\.svg"):
        check_readme("README.md", "results.csv")


def test_scores_that_are_not_speaker_independent_carry_the_watermark(recipe, row):
    assert not is_marked(Path("README.md").read_text())
    append_results("results.csv", row(corpus=marked("Calls", speakers_known=False)))
    assert sync_readme("README.md", "results.csv") and WATERMARK in Path("README.md").read_text()
