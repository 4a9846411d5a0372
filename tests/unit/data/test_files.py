import errno
from pathlib import Path

import pytest

from akd_toolkit.data.files import local_source, write_text_aside, written_aside


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, PermissionError])
def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path, stop):
    path = tmp_path / "scores.npy"
    path.write_text("old")
    with pytest.raises(stop), written_aside(path) as aside:
        aside.write_text("half")
        raise stop
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "manifest.csv"
    path.write_text("old")

    def full(self, *args, **kwargs):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"no space left to write .*manifest\.csv") as info:
        write_text_aside(path, "new")
    assert info.value.errno == errno.ENOSPC
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def models(tmp_path):
    for name in ("whisper-base", "owner/name"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models.yaml").write_text("openai/whisper-base: whisper-base  # a comment\nopenai/gone: gone\n")
    return tmp_path


def test_a_model_is_found_by_the_index_or_as_owner_and_name_or_stays_as_it_is(models):
    assert local_source("openai/whisper-base", models) == str(models / "whisper-base")
    assert local_source("owner/name", str(models)) == str(models / "owner/name")
    for source in ("openai/whisper-small", "./whisper-base", "/somewhere/else"):
        assert local_source(source, models) == source and local_source(source, None) == source
    for source, folder, token in (("a/b", models / "nowhere", "nowhere"), ("openai/gone", models, "openai/gone")):
        with pytest.raises(FileNotFoundError, match=token):
            local_source(source, folder)


@pytest.mark.parametrize("text", ["- a list", "a: [", "openai/whisper-base: 3", "\xff"])
def test_an_index_that_cannot_be_read_is_refused(models, text):
    (models / "models.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"models\.yaml"):
        local_source("openai/whisper-base", models)
