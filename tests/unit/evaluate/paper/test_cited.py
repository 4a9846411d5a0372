"""Published numbers: every one has a source, and a grade that follows from what is known of its protocol."""

import pandas as pd
import pytest

from akd_toolkit.evaluate.paper.cited import ANSWERS, COLUMNS, GRADES, grade, read_cited


def row(**changes):
    whole = dict.fromkeys(COLUMNS, "") | {"corpus": "EmoDB", "system": "X", "wa": "80.1", "source": "doi 10.1/x"}
    return whole | {"speaker_independent": "yes", "chosen_on_test": "no", "grade": "A"} | changes


def write(path, *rows):
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False)
    return path


def test_a_speaker_on_both_sides_or_a_choice_on_the_test_is_never_better_than_c():
    grades = {(one, other): grade(one, other) for one in ANSWERS for other in ANSWERS}
    assert grades == {
        ("yes", "no"): "A",
        ("yes", "unknown"): "B",
        ("yes", "yes"): "C",
        ("no", "no"): "C",
        ("no", "unknown"): "C",
        ("no", "yes"): "C",
        ("unknown", "no"): "D",
        ("unknown", "unknown"): "D",
        ("unknown", "yes"): "C",
    }
    assert set(grades.values()) == set(GRADES)


def test_the_committed_table_is_sound_and_has_the_corpora_of_the_recipes():
    rows = read_cited()
    assert len(rows) >= 25
    assert set(rows["corpus"]) == {"EmoDB", "RAVDESS", "IEMOCAP", "CREMA-D"}
    assert not rows.duplicated(["corpus", "system"]).any()
    papers = rows[rows["system"] == "AKD (the paper)"].set_index("corpus")
    assert papers["wa"].to_dict() == {"EmoDB": "97.07", "RAVDESS": "97.06", "IEMOCAP": "84.45"}
    assert set(papers["grade"]) == {"D"}  # tables marked illustrative
    assert rows["source"].str.contains("doi|arXiv|http|own measurement").all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": " "}, "it has no source"),
        ({"wa": ""}, "neither WA nor UA"),
        ({"wa": "0,8"}, "'0,8' is no percentage"),
        ({"wa": "101"}, "'101' is no percentage"),
        ({"speaker_independent": "no"}, "its grade is 'A' but its answers earn C"),
        ({"speaker_independent": "perhaps"}, "must be one of yes, no, unknown, got 'perhaps'"),
        ({"grade": "D"}, "its grade is 'D' but its answers earn A"),  # worse than earned needs a note
    ],
)
def test_a_row_that_nobody_could_check_is_refused_by_line(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        read_cited(write(tmp_path / "cited.csv", row(), row(**changes)))
    assert "line 3 (EmoDB, X)" in str(error.value)


def test_a_worse_grade_than_earned_stands_with_a_note(tmp_path):
    path = write(tmp_path / "cited.csv", row(grade="D", note="marked illustrative"))
    assert read_cited(path)["grade"].tolist() == ["D"]


def test_another_table_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has the columns a, b but needs corpus, classes"):
        read_cited(tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError, match="no table of published numbers"):
        read_cited(tmp_path / "y.csv")
