import pytest

from akd_toolkit.report import (
    append_results,
    check_readme,
    markdown_table,
    results_table_markdown,
    sync_readme,
)

PAGE = "# EmoDB\n\nProtocol.\n\n<!-- results -->\n<!-- /results -->\n\nWhat did not work.\n"


@pytest.fixture
def results(tmp_path, row):
    path = tmp_path / "results.csv"
    append_results(path, row)
    append_results(path, row | {"system": "student", "recipe": "student", "teachers": ""})
    append_results(path, row | {"system": "teacher", "recipe": "teacher", "student": "", "params": 16_300_000})
    return path


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_table_puts_the_teachers_first_and_the_student_without_them_before_the_distilled_one(results):
    lines = results_table_markdown(results).splitlines()
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["teacher", "student", "akd"]
    assert lines[-1] == (
        "| EmoDB | akd | akd | micro_cnn | whisper | 0.16 M | 5 x 3 | 80.1 ± 4.1 | 75.4 ± 4.8 | 80.6 | "
        "79.0 [75.1, 82.7] | 12.3 | 0a1b2c3 | 2026-01-31 |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_page_gets_the_table_between_its_markers_and_keeps_the_rest(results, readme):
    assert sync_readme(readme, results) is True
    page = readme.read_text(encoding="utf-8")
    assert page == PAGE.replace("-->\n<!-- /", f"-->\n\n{results_table_markdown(results)}\n\n<!-- /")
    assert sync_readme(readme, results) is False
    assert readme.read_text(encoding="utf-8") == page
    check_readme(readme, results)


def test_a_page_whose_table_is_old_or_was_edited_is_refused(results, readme, row):
    sync_readme(readme, results)
    good = readme.read_text(encoding="utf-8")
    readme.write_text(good.replace("79.0", "89.0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the table in .*README.md is not that of .*results.csv; run"):
        check_readme(readme, results)
    readme.write_text(good, encoding="utf-8")
    append_results(results, row | {"ua_pooled": 0.5})
    with pytest.raises(ValueError, match="is not that of"):
        check_readme(readme, results)


@pytest.mark.parametrize(
    "page",
    ["# EmoDB\n", "<!-- results -->\n", "<!-- /results -->\n<!-- results -->\n", PAGE + "<!-- results -->\n"],
)
def test_a_page_without_its_two_markers_in_order_is_refused_and_kept(results, readme, page):
    readme.write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match=r"README.md must hold the lines <!-- results --> and <!-- /results -->"):
        sync_readme(readme, results)
    assert readme.read_text(encoding="utf-8") == page


def test_a_missing_page_is_refused(results, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no page"):
        check_readme(tmp_path / "nowhere.md", results)


def test_a_bar_in_a_cell_does_not_open_a_column():
    assert markdown_table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
