import unicodedata

import pytest

from akd_toolkit.data.table_paths import find_paths

FILES = ("wav/anna/1.wav", "wav/anna/2.wav", "wav/bert/1.wav", "wav/Jörg/3.flac")


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
        "../elsewhere/{}".format,
        lambda name: "C:\\data\\" + name.replace("/", "\\"),
        lambda name: name.removeprefix("wav/"),
        lambda name: name.rpartition(".")[0],
        lambda name: name.replace(".wav", ".WAV"),
        lambda name: name.replace(".flac", ".mp4"),
        lambda name: unicodedata.normalize("NFD", name),
    ],
)
def test_paths_written_elsewhere_are_found(found, change):
    assert found([change(name) for name in FILES]) == list(FILES)


def test_files_written_in_nfd_are_found_by_nfc(found):
    decomposed = [unicodedata.normalize("NFD", name) for name in FILES]
    assert found([unicodedata.normalize("NFC", name) for name in FILES], decomposed) == decomposed


def test_a_path_that_is_missing_is_never_taken_for_one_elsewhere(found):
    texts = [f"/home/{name}" for name in (*FILES, "wav/bert/2.wav")]
    assert found(texts) == [*FILES, None]
    files = ["train/a.wav", "test/b.wav"]
    assert found(["train/a.wav", "train/b.wav"], files) == ["train/a.wav", None]
    assert found(["a.wav", "b.wav"], files, "train/metadata.csv") == ["train/a.wav", None]


def test_one_missing_file_does_not_hide_the_others(found, tmp_path):
    (tmp_path.parent / "apart").mkdir(exist_ok=True)
    outside = [str(tmp_path.parent / "apart" / name) for name in ("1.wav", "2.wav", "gone.wav")]
    for name in outside[:2]:
        open(name, "w").close()
    paths = find_paths(outside, tmp_path, tmp_path / "t.csv")
    assert [str(path) for path in paths] == outside and [path.is_file() for path in paths] == [True, True, False]


def test_paths_of_the_tables_own_folder_are_found_before_those_of_others(found):
    files = ["train/a.wav", "train/b.wav", "test/a.wav", "test/b.wav"]
    assert found(["a.wav", "b.flac"], files, "train/metadata.csv") == files[:2]


def test_names_alone_are_found_where_there_is_one_of_each(found):
    assert found(["2.wav", "3.wav", "4.wav"]) == ["wav/anna/2.wav", "wav/Jörg/3.flac", None]
    with pytest.raises(ValueError, match="wav/anna and in wav/bert"):
        found(["1.wav"])


def test_of_two_formats_the_one_that_is_named_is_taken(found):
    assert found(["x/a.flac", "x/a"], ["a.wav", "a.flac"]) == ["a.flac", None]
