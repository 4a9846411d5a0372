import re

import pytest

from akd_toolkit.data.files import CONTAINER_SUFFIXES, SOUND_SUFFIXES
from akd_toolkit.data.sounds import find_corpus, find_sounds, without_copies

NAME = r"\d\d[a-z]"  # such as 01a


@pytest.fixture
def tree(tmp_path):
    """Files with ``content``, by default their own path: ``tree("a/01a.wav")``."""

    def make(*paths, content=None):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(path if content is None else content)
        return tmp_path

    return make


def relative(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_every_suffix_is_found_in_capitals_and_through_links_and_broken_ones_are_named(tree):
    names = [f"x{suffix}" for suffix in SOUND_SUFFIXES]
    folder = tree(*(f"corpus/{name}" for name in names), "corpus/y.WAV", "corpus/._y.wav", "apart/deep/z.Opus")
    (folder / "corpus/link").symlink_to(folder / "apart")
    (folder / "apart/loop").symlink_to(folder / "corpus")
    found = relative(find_sounds(folder / "corpus"), folder / "corpus")
    assert sorted(found) == sorted([*names, "y.WAV", "link/deep/z.Opus"])
    (folder / "apart/b.wav").symlink_to(folder / "gone.wav")
    with pytest.raises(FileNotFoundError, match=rf"1 of {len(found) + 1} .*b\.wav"):
        find_sounds(folder / "corpus")


def test_containers_need_pyav(tree, monkeypatch, caplog):
    folder = tree("a.wav", *(f"b{suffix}" for suffix in CONTAINER_SUFFIXES), "c.ape", "notes.txt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "av")
    assert len(find_sounds(folder)) == 1 + len(CONTAINER_SUFFIXES)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    caplog.clear()
    assert relative(find_sounds(folder), folder) == ["a.wav"]
    assert f"{len(CONTAINER_SUFFIXES) + 1} sound files" in caplog.text and "akd-toolkit[av]" in caplog.text
    assert "b.3gp" in caplog.text and "notes" not in caplog.text


@pytest.mark.parametrize("again", ["again", "a"])
def test_a_second_copy_inside_a_corpus_is_left_out(tree, caplog, again):
    paths = [f"a/{actor}/{number}.wav" for actor in ("one", "two") for number in range(3)]
    for path in paths:
        tree(path, f"a/{again}/{path.removeprefix('a/')}", content=path)
    folder = tree()
    assert relative(without_copies(find_sounds(folder)), folder) == paths
    assert re.findall(r"\b6 sound files in (\S+) are left out", caplog.text) == [str(folder / "a" / again)]


@pytest.mark.parametrize(
    "paths, contents",
    [
        (["one/1.wav", "two/1.wav"], "xx"),  # two speakers with one sound are not a copy of a corpus
        (["1.wav", "a/1.wav"], "xy"),
        (["1.wav", "a/1.wav", "a/2.wav"], "xxy"),  # the folder holds more
    ],
)
def test_what_is_not_a_second_copy_stays(tree, paths, contents, caplog):
    for path, content in zip(paths, contents):
        tree(path, content=content)
    assert relative(without_copies(find_sounds(tree())), tree()) == paths and not caplog.text


@pytest.mark.parametrize("place", ["", "wav/", "corpora/mine/wav/"])
def test_a_corpus_is_found_at_any_depth_and_other_files_are_counted(tree, place, caplog):
    caplog.set_level("INFO")
    folder = tree(f"{place}02b.wav", f"{place}01a.flac", f"{place}strange.wav", *(["other/9.wav"] if place else []))
    home, files = find_corpus(folder, "files such as 01a.wav", NAME)
    assert home == (folder / place if place else folder)
    assert [path.name for path in files] == ["01a.flac", "02b.wav", "strange.wav"]
    assert ("1 sound files elsewhere" in caplog.text) == bool(place)


def test_a_place_may_be_a_part_of_the_name(tree):
    folder = tree("release/s1/wav/01a.wav", "release/s2/wav/02b.wav", "release/s1/talk.wav")
    assert find_corpus(folder, "s1 and s2", rf"s\d/wav/{NAME}")[0] == folder / "release"


@pytest.mark.parametrize(
    "paths, sentence",
    [
        (["x.wav", "y.wav"], r"none of its 2 sound files .*x\.wav"),
        (["one/01a.wav", "two/01a.wav"], r"01a twice, as one/01a\.wav and two/01a\.wav"),
        (["01a.wav", "01a.flac"], r"01a twice, as 01a\.flac and 01a\.wav"),
    ],
)
def test_no_corpus_or_two_are_refused(tree, paths, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_corpus(tree(*paths), "files such as 01a.wav", NAME)
