import errno
from pathlib import Path

import pytest

from akd_toolkit.data.files import write_text_aside, written_aside


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
