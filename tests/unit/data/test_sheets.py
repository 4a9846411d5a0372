import math
from pathlib import Path

import pandas as pd
import pytest

from akd_toolkit.data.sheets import choose_columns, read_sheet, sheet_rows


@pytest.fixture
def sheet(tmp_path):
    """A table beside the files a.wav and sub/b.wav: ``sheet(text, name)`` gives its path."""
    (tmp_path / "sub").mkdir()
    for name in ("a.wav", "sub/b.wav"):
        (tmp_path / name).write_bytes(b"")

    def make(text: str, name="corpus.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return make


PLAIN = {"path": "path", "speaker": "speaker", "emotion": "emotion"}


@pytest.mark.parametrize("separator, encoding", [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")])
def test_a_table_is_read_as_text_whatever_parts_its_cells(sheet, separator, encoding):
    lines = [["path", "speaker", "emotion"], ["a.wav", " 08 ", "NA"], ["sub/b.wav", "Jürgen", "joy"]]
    path = sheet("\n".join(separator.join(line) for line in lines), encoding=encoding)
    rows = sheet_rows(path, path.parent, PLAIN)
    assert [(row["speaker"], row["emotion"]) for row in rows] == [("08", "NA"), ("Jürgen", "joy")]
    assert [row["path"] for row in rows] == [path.parent / "a.wav", path.parent / "sub/b.wav"]


@pytest.mark.parametrize("rows", [["a.wav,1,joy,", "a.wav,2,fear,"], ["a.wav,1,joy", "", "a.wav,2,fear,,"]])
@pytest.mark.parametrize("head", ["path,speaker,emotion", "path,speaker,emotion,,"])
def test_empty_cells_at_the_end_of_a_line_change_nothing(sheet, head, rows):
    cells = sheet_rows(path := sheet("\n".join([head, *rows])), path.parent, PLAIN)
    assert [(row["speaker"], row["emotion"]) for row in cells] == [("1", "joy"), ("2", "fear")]
    assert [row["line"] for row in cells] == [2, 1 + len(rows)]


@pytest.mark.parametrize("text", ["sep=;\nname;label\na.wav;joy, or so\n", "name\tlabel\r\na.wav\tjoy, or so\r\n"])
def test_tables_that_excel_saved_are_read(sheet, text):
    table = read_sheet(sheet(text, encoding="utf-16"))
    assert table.to_dict("records") == [{"name": "a.wav", "label": "joy, or so"}]


def test_json_lines_are_a_table(sheet):
    table = read_sheet(sheet('{"name": "a.wav", "speaker": 8}\n\n{"name": "b.wav", "x": null}\n', "metadata.jsonl"))
    assert table.index.tolist() == [1, 3]
    assert table.to_dict("list") == {"name": ["a.wav", "b.wav"], "speaker": ["8", ""], "x": ["", ""]}


@pytest.mark.parametrize(
    "text, seconds",
    [
        *(("1.2", 1.2), ("1,2", 1.2), ("0 days 00:00:01.2", 1.2), ("00:00:01.200000", 1.2), ("00:01:01,5", 61.5)),
        *(("1.2s", 1.2), ("1200 ms", 1.2), ("NaT", math.nan), ("", math.nan), ("nan", math.nan)),
    ],
)
def test_times_are_read_however_they_are_written(sheet, text, seconds):
    path = sheet(f"path;speaker;emotion;start;end\na.wav;1;joy;0 days;{text}\n")
    (row,) = sheet_rows(path, path.parent, {**PLAIN, "start": "start", "stop": "end"})
    whole = math.isnan(seconds)
    assert row["stop_s"] == pytest.approx(seconds, nan_ok=True)
    assert row["start_s"] == pytest.approx(math.nan if whole else 0.0, nan_ok=True)


@pytest.mark.parametrize(
    "start, stop, unit",
    [
        *(("start_ms", "end_ms", 0.001), ("onset_ms", "offset_ms", 0.001), ("Start (ms)", "End (ms)", 0.001)),
        *(("begin", "end", 1), ("start_s", "end_s", 1), ("onset", "offset", 1), ("Start_Time", "End_Time", 1)),
    ],
)
def test_the_unit_of_a_time_is_that_of_its_columns_name(sheet, start, stop, unit):
    path = sheet(f"path,speaker,emotion,{start},{stop}\na.wav,1,joy,250,1250\n")
    (row,) = sheet_rows(path, path.parent, choose_columns(read_sheet(path), {}, path))
    assert (row["start_s"], row["stop_s"]) == pytest.approx((250 * unit, 1250 * unit))


def test_a_start_and_a_duration_are_a_part_and_a_duration_alone_is_none(sheet):
    path = sheet("path,speaker,emotion,offset,duration\na.wav,1,joy,0.5,2\n")
    (row,) = sheet_rows(path, path.parent, choose_columns(read_sheet(path), {}, path))
    assert (row["start_s"], row["stop_s"]) == (0.5, 2.5)
    path = sheet("path,speaker,emotion,duration\na.wav,1,joy,2\n")
    assert choose_columns(read_sheet(path), {}, path) == PLAIN


@pytest.mark.parametrize("ids, chosen", [(["x", "y"], True), (["x", "x"], False)])
def test_a_column_whose_names_repeat_is_not_an_id(ids, chosen):
    found = pd.DataFrame({"path": ["a", "b"], "speaker": "s", "emotion": "e", "id": ids})
    assert ("id" in choose_columns(found, {}, Path("x.csv"))) == chosen


def test_a_column_may_be_put_together_or_left_out(sheet):
    path = sheet("Dialogue_ID,n o,speaker,emotion,start\na,wav,1,joy,3\n")
    given = {"path": "{Dialogue_ID}.{n o}", "start": "-"}
    columns = choose_columns(read_sheet(path), given, path)
    assert columns == {**PLAIN, "path": given["path"]}
    assert sheet_rows(path, path.parent, columns)[0]["path"] == path.parent / "a.wav"
    with pytest.raises(ValueError, match=r"path \(\{Dialogue\}\)"):
        choose_columns(read_sheet(path), {"path": "{Dialogue}"}, path)
    with pytest.raises(ValueError, match="no column for speaker"):  # a table that has changed since its recipe was made
        sheet_rows(sheet("path,emotion\na.wav,joy\n"), path.parent, PLAIN)


def test_optional_columns_become_seconds_and_attributes(sheet):
    text = "path,speaker,emotion,gender,start,stop,valence\na.wav,1,joy,F,0.5,1.25,3\nsub\\b.wav,2,joy,Man,,2,\n"
    path = sheet(text)
    columns = choose_columns(read_sheet(path), {}, path)
    assert columns == {**PLAIN, "sex": "gender", "start": "start", "stop": "stop", "valence": "valence"}
    first, second = sheet_rows(path, path.parent, columns)
    assert (first["start_s"], first["stop_s"], first["sex"], first["attributes"]) == (
        0.5,
        1.25,
        "F",
        {"valence": 3},
    )
    assert math.isnan(second["start_s"]) and second["stop_s"] == 2.0
    assert second["attributes"] == {} and second["path"].name == "b.wav"


def test_named_columns_win_over_usual_ones_and_any_attribute_can_be_named():
    found = ["file", "emotion", "perceived", "who", "warmth"]
    given = {"emotion": "perceived", "speaker": "who", "warmth": "warmth"}
    chosen = choose_columns(pd.DataFrame(columns=found), given, Path("x.csv"))
    assert chosen == {"path": "file", "speaker": "who", "emotion": "perceived", "warmth": "warmth"}


@pytest.mark.parametrize(
    "found, given, sentence",
    [
        (["path", "emotion"], {}, "no column for speaker; it has path, emotion.*--no-speakers"),
        (["a", "b"], {}, "no column for path, speaker, emotion; it has a, b. Say .* --columns path=a"),
        (["path", "speaker", "emotion"], {"emotion": "mood"}, r"no column for emotion \(mood\)"),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(found, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        choose_columns(pd.DataFrame(columns=found), given, Path("x.csv"))


def test_without_speakers_their_column_is_not_looked_for():
    found = pd.DataFrame(columns=["path", "emotion", "speaker"])
    assert choose_columns(found, {}, Path("x.csv"), speakers=False) == {"path": "path", "emotion": "emotion"}


def test_all_bad_lines_are_told_at_once(sheet):
    path = sheet("path,speaker,emotion,start,stop\na.wav,,joy,,\nz.wav,1,joy,,\na.wav,1,joy,2,1\na.wav,1,joy,x,\n")
    with pytest.raises(ValueError) as error:
        sheet_rows(path, path.parent, {**PLAIN, "start": "start", "stop": "stop"})
    for sentence in (
        "line 2 has no speaker",
        f"line 3 names z.wav, which is not a file in {path.parent}",
        "line 4 has start 2 s and stop 1 s",
        "line 5 has the start 'x'",
    ):
        assert sentence in str(error.value)


def test_what_is_no_table_is_one_sentence(sheet, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no table"):
        read_sheet(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="not written in UTF-8"):
        read_sheet(sheet("path,speaker\nJürgen,1\n", encoding="latin-1"))
    with pytest.raises(ValueError, match="has no line below its names"):
        read_sheet(sheet("path,speaker,emotion\n"))
    with pytest.raises(ValueError, match="is not a table"):
        read_sheet(sheet(""))
    with pytest.raises(ValueError, match="is not a table"):
        read_sheet(sheet("a,b\n1,2\n1,2,3\n"))
    with pytest.raises(ValueError, match="two columns named a"):
        read_sheet(sheet("a,a\n1,2\n"))
    for text in ("[1]", "{", "3"):
        with pytest.raises(ValueError, match="is not a table"):
            read_sheet(sheet(text, "x.jsonl"))
