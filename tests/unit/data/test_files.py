import errno
from pathlib import Path

import pytest

from akd_toolkit.data.files import local_source, write_text_aside, written_aside


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "manifest.csv"
    path.write_text("old")

    def full(self, *args, **kwargs):
        with self.open("w") as file:
            file.write("ha")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"no space left to write .*manifest\.csv") as info:
        write_text_aside(path, "new")
    assert info.value.errno == errno.ENOSPC
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, PermissionError])
def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path, stop):
    path = tmp_path / "scores.npy"
    path.write_text("old")
    with pytest.raises(stop), written_aside(path) as aside:
        aside.write_text("half")
        raise stop
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def models(tmp_path):
    for name in ("whisper-base", "owner/name"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models.yaml").write_text("openai/whisper-base: whisper-base  # a comment\nopenai/gone: gone\n")
    return tmp_path


def test_a_model_is_found_by_the_index_or_as_owner_and_name(models):
    assert local_source("openai/whisper-base", models) == str(models / "whisper-base")
    assert local_source("owner/name", str(models)) == str(models / "owner/name")


@pytest.mark.parametrize("source", ["openai/whisper-small", "./whisper-base", "/somewhere/else"])
def test_what_the_folder_does_not_have_stays_as_it_is(models, source):
    assert local_source(source, models) == source and local_source(source, None) == source


def test_a_folder_that_does_not_exist_is_refused(models):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        local_source("a/b", models / "nowhere")
    with pytest.raises(FileNotFoundError, match="openai/gone"):
        local_source("openai/gone", models)


@pytest.mark.parametrize("text", ["- a list", "a: [", "openai/whisper-base: 3", "\xff"])
def test_an_index_that_cannot_be_read_is_refused(models, text):
    (models / "models.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"models\.yaml"):
        local_source("openai/whisper-base", models)
