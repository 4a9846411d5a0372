import pytest

from akd_toolkit.evaluate.report import append_results, markdown_table, results_table_markdown


@pytest.fixture
def results(tmp_path, row):
    path = tmp_path / "results.csv"
    append_results(path, row)
    append_results(path, row | {"system": "student", "recipe": "student", "teachers": ""})
    append_results(path, row | {"system": "teacher", "recipe": "teacher", "student": "", "params": 16_300_000})
    return path


def test_table_puts_the_teachers_first_and_the_student_without_them_before_the_distilled_one(results):
    lines = results_table_markdown(results).splitlines()
    assert [line.split("|")[3].strip() for line in lines[2:]] == ["teacher", "student", "akd"]
    assert lines[-1] == (
        "| EmoDB | akd | akd | micro_cnn | whisper | 0.16 M | 5 x 3 | 80.1 ± 4.1 | 75.4 ± 4.8 | 80.6 | "
        "79.0 [75.1, 82.7] | 12.3 | 0a1b2c3 | 2026-01-31 |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_the_rows_of_an_ablation_are_left_to_their_own_table(results, row):
    before = results_table_markdown(results)
    append_results(results, row | {"recipe": "ablation", "system": "no gate"})
    assert results_table_markdown(results) == before


def test_a_bar_in_a_cell_does_not_open_a_column():
    assert markdown_table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
