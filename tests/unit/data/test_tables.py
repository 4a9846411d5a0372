import math
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from akd_toolkit.data.importers.tables import choose_columns, find_paths, read_table, table_rows

PLAIN = {"path": "path", "speaker": "speaker", "emotion": "emotion"}
FILES = ("wav/anna/1.wav", "wav/anna/2.wav", "wav/bert/1.wav", "wav/Jörg/3.flac")


@pytest.fixture
def write(tmp_path):
    """A table beside the files a.wav and sub/b.wav: ``write(text, name)`` gives its path."""
    (tmp_path / "sub").mkdir()
    for name in ("a.wav", "sub/b.wav"):
        (tmp_path / name).write_bytes(b"")

    def make(text: str, name="corpus.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return make


def rows_of(path, columns=None):
    return table_rows(path, path.parent, choose_columns(read_table(path), {}, path) if columns is None else columns)


@pytest.mark.parametrize("separator, encoding", [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")])
def test_cells_are_text_whatever_the_separator(write, separator, encoding):
    lines = [["path", "speaker", "emotion"], ["a.wav", " 08 ", "NA"], ["sub/b.wav", "Jürgen", '"joy, or so; etc"']]
    path = write("\n".join(separator.join(line) for line in lines), encoding=encoding)
    rows = rows_of(path, PLAIN)
    assert [(row["speaker"], row["emotion"]) for row in rows] == [("08", "NA"), ("Jürgen", "joy, or so; etc")]
    assert [row["path"] for row in rows] == [path.parent / "a.wav", path.parent / "sub/b.wav"]


@pytest.mark.parametrize("rows", [["a.wav,1,joy,", "a.wav,2,fear,"], ["a.wav,1,joy", "", "a.wav,2,fear,,"]])
@pytest.mark.parametrize("head", ["path,speaker,emotion", "path,speaker,emotion,,"])
def test_empty_cells_at_the_end_of_a_line_and_empty_lines_change_nothing(write, head, rows):
    cells = rows_of(write("\n".join([head, *rows])), PLAIN)
    assert [(row["speaker"], row["emotion"]) for row in cells] == [("1", "joy"), ("2", "fear")]
    assert [row["line"] for row in cells] == [2, 1 + len(rows)]


@pytest.mark.parametrize("text", ["sep=;\nname;label\na.wav;joy, or so\n", "name\tlabel\r\na.wav\tjoy, or so\r\n"])
def test_tables_saved_by_excel_are_read(write, text):
    assert read_table(write(text, encoding="utf-16")).to_dict("records") == [{"name": "a.wav", "label": "joy, or so"}]


def test_json_lines_are_a_table(write):
    table = read_table(write('{"name": "a.wav", "speaker": 8}\n\n{"name": "b.wav", "x": null}\n', "metadata.jsonl"))
    assert table.index.tolist() == [1, 3]
    assert table.to_dict("list") == {"name": ["a.wav", "b.wav"], "speaker": ["8", ""], "x": ["", ""]}


@pytest.mark.parametrize(
    "text, seconds",
    [
        *(("1.2", 1.2), ("1,2", 1.2), ("0 days 00:00:01.2", 1.2), ("00:00:01.200000", 1.2), ("00:01:01,5", 61.5)),
        *(("1.2s", 1.2), ("1200 ms", 1.2), ("NaT", math.nan), ("", math.nan), ("nan", math.nan)),
    ],
)
def test_times_are_read_in_any_usual_form(write, text, seconds):
    path = write(f"path;speaker;emotion;start;end\na.wav;1;joy;0 days;{text}\n")
    (row,) = rows_of(path, {**PLAIN, "start": "start", "stop": "end"})
    assert row["stop_s"] == pytest.approx(seconds, nan_ok=True)
    assert row["start_s"] == pytest.approx(math.nan if math.isnan(seconds) else 0.0, nan_ok=True)


@pytest.mark.parametrize(
    "start, stop, unit",
    [
        *(("start_ms", "end_ms", 0.001), ("onset_ms", "offset_ms", 0.001), ("Start (ms)", "End (ms)", 0.001)),
        *(("begin", "end", 1), ("start_s", "end_s", 1), ("onset", "offset", 1), ("Start_Time", "End_Time", 1)),
    ],
)
def test_the_name_of_a_column_gives_the_unit_of_its_times(write, start, stop, unit):
    (row,) = rows_of(write(f"path,speaker,emotion,{start},{stop}\na.wav,1,joy,250,1250\n"))
    assert (row["start_s"], row["stop_s"]) == pytest.approx((250 * unit, 1250 * unit))


@pytest.mark.parametrize("ids, chosen", [(["x", "y"], True), (["x", "x"], False)])
def test_a_column_with_repeated_values_is_not_an_id(ids, chosen):
    found = pd.DataFrame({"path": ["a", "b"], "speaker": "s", "emotion": "e", "id": ids})
    assert ("id" in choose_columns(found, {}, Path("x.csv"))) == chosen


def test_optional_columns_are_chosen_by_their_usual_names(write):
    text = "path,speaker,emotion,gender,offset,duration,valence\na.wav,1,joy,F,0.5,2,3\nsub\\b.wav,2,joy,Man,,,\n"
    first, second = rows_of(write(text))
    assert (first["start_s"], first["stop_s"], first["sex"], first["attributes"]) == (0.5, 2.5, "F", {"valence": 3})
    assert math.isnan(second["start_s"]) and second["attributes"] == {} and second["path"].name == "b.wav"
    path = write("file,duration,emotion,perceived,who\na.wav,2,joy,fear,1\n")  # a duration alone is no part
    given = {"emotion": "perceived", "speaker": "who"}
    assert choose_columns(read_table(path), given, path) == {"path": "file", **given}


def test_a_column_may_be_composed_or_left_out(write):
    path = write("Dialogue_ID,n o,speaker,emotion,start\na,wav,1,joy,3\n")
    given = {"path": "{Dialogue_ID}.{n o}", "start": "-"}
    columns = choose_columns(read_table(path), given, path)
    assert columns == {**PLAIN, "path": given["path"]}
    assert rows_of(path, columns)[0]["path"] == path.parent / "a.wav"
    with pytest.raises(ValueError, match="no column for speaker"):  # the table changed after its recipe was made
        rows_of(write("path,emotion\na.wav,joy\n"), PLAIN)


@pytest.mark.parametrize(
    "found, given, token",
    [
        (["path", "emotion"], {}, "no column for speaker; it has path, emotion.*--no-speakers"),
        (["a", "b"], {}, "no column for path, speaker, emotion; it has a, b.*--columns path=a"),
        (["path", "speaker", "emotion"], {"emotion": "mood"}, r"no column for emotion \(mood\)"),
        (["path", "speaker", "emotion"], {"path": "{Dialogue}"}, r"path \(\{Dialogue\}\)"),
    ],
)
def test_missing_columns_are_named(found, given, token):
    with pytest.raises(ValueError, match=token):
        choose_columns(pd.DataFrame(columns=found), given, Path("x.csv"))


def test_all_bad_lines_are_named_at_once(write):
    path = write("path,speaker,emotion,start,stop\na.wav,,joy,,\nz.wav,1,joy,,\na.wav,1,joy,2,1\na.wav,1,joy,x,\n")
    with pytest.raises(ValueError) as error:
        rows_of(path, {**PLAIN, "start": "start", "stop": "stop"})
    for token in ("line 2 has no speaker", "line 3 names z.wav", "line 4 has start 2 s", "line 5 has the start 'x'"):
        assert token in str(error.value)


@pytest.mark.parametrize(
    "text, name, token",
    [
        ("path,speaker,emotion\n", "x.csv", "no rows"),
        ("", "x.csv", "not a table"),
        ("a,b\n1,2\n1,2,3\n", "x.csv", "not a table.*line 3"),
        ('a,b\n"1,2\n', "x.csv", "not a table"),
        ("a,a\n1,2\n", "x.csv", "two columns named a"),
        *((text, "x.jsonl", "not a table") for text in ("[1]", "{", "3")),
        ("path,speaker\nJürgen,1\n".encode("latin-1"), "x.csv", "UTF-8"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path, text, name, token):
    with pytest.raises(FileNotFoundError, match=name):
        read_table(tmp_path / name)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=token):
        read_table(tmp_path / name)


@pytest.fixture
def found(tmp_path):
    """What texts of a table are found as, below a folder with files: ``found(texts, files, table)``."""

    def find(texts, files=FILES, table="t.csv"):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        paths = find_paths(texts, tmp_path, tmp_path / table)
        return [path.relative_to(tmp_path).as_posix() if path.is_file() else None for path in paths]

    return find


@pytest.mark.parametrize(
    "change",
    [
        str,
        "/home/ann/corpus/{}".format,
        lambda name: "C:\\data\\" + name.replace("/", "\\"),
        lambda name: name.removeprefix("wav/"),
        lambda name: name.rpartition(".")[0],
        lambda name: name.replace(".wav", ".WAV").replace(".flac", ".mp4"),
        lambda name: unicodedata.normalize("NFD", name),
    ],
)
def test_paths_of_another_machine_are_found(found, change):
    assert found([change(name) for name in FILES]) == list(FILES)


PARTS = ["train/a.wav", "train/b.wav", "test/a.wav", "test/b.wav"]


@pytest.mark.parametrize(
    "texts, files, table, expected",
    [
        ([f"/home/{name}" for name in (*FILES, "wav/bert/2.wav")], FILES, "t.csv", [*FILES, None]),
        (["train/a.wav", "train/b.wav"], ["train/a.wav", "test/b.wav"], "t.csv", ["train/a.wav", None]),
        (["a.wav", "b.wav"], ["train/a.wav", "test/b.wav"], "train/metadata.csv", ["train/a.wav", None]),
        (["a.wav", "b.flac"], PARTS, "train/metadata.csv", PARTS[:2]),  # the table's own folder comes first
        (["2.wav", "3.wav", "4.wav"], FILES, "t.csv", ["wav/anna/2.wav", "wav/Jörg/3.flac", None]),
        (["x/a.flac", "x/a"], ["a.wav", "a.flac"], "t.csv", ["a.flac", None]),
    ],
)
def test_a_missing_path_is_never_taken_for_another_one(found, texts, files, table, expected):
    assert found(texts, files, table) == expected


def test_names_in_two_folders_are_refused_and_files_named_in_nfd_are_found_by_nfc(found, tmp_path):
    decomposed = [unicodedata.normalize("NFD", name) for name in FILES]
    assert found([unicodedata.normalize("NFC", name) for name in FILES], decomposed) == decomposed
    with pytest.raises(ValueError, match="wav/anna and in wav/bert"):
        found(["1.wav"])


def test_one_missing_file_does_not_hide_the_others(tmp_path):
    outside = [str(tmp_path.parent / "apart" / name) for name in ("1.wav", "2.wav", "gone.wav")]
    Path(outside[0]).parent.mkdir(exist_ok=True)
    for name in outside[:2]:
        Path(name).touch()
    paths = find_paths(outside, tmp_path, tmp_path / "t.csv")
    assert [str(path) for path in paths] == outside and [path.is_file() for path in paths] == [True, True, False]
