"""An archive is fetched and unpacked completely or not at all; ``file:`` addresses stand for the network."""

import errno
import io
import urllib.request
import zipfile
from email.message import Message

import pytest

from akd_toolkit.data.preparing import fetch_zip


@pytest.fixture
def archive(tmp_path):
    """An archive with the file wav/a."""
    path = tmp_path / "there" / "a.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("wav/a", "sound")
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here" / "corpus"


def test_an_archive_is_fetched_unpacked_and_reused(archive, folder):
    assert fetch_zip(archive.as_uri(), folder) == folder
    archive.unlink()
    assert fetch_zip(archive.as_uri(), folder) == folder
    assert (folder / "wav" / "a").read_text() == "sound" and list(folder.parent.iterdir()) == [folder]


def test_a_transfer_that_breaks_off_leaves_nothing_behind(archive, folder, monkeypatch):
    def broken(url, timeout):
        headers = Message()
        headers["Content-Length"] = str(archive.stat().st_size)
        return urllib.request.addinfourl(io.BytesIO(archive.read_bytes()[:100]), headers, url)

    monkeypatch.setattr("urllib.request.urlopen", broken)
    with pytest.raises(ConnectionError, match=r"/a\.zip .* stopped after 100 of "):
        fetch_zip(archive.as_uri(), folder)
    assert not list(folder.parent.iterdir())


def test_a_page_that_is_not_an_archive_is_refused_and_downloaded_again(archive, folder):
    whole = archive.read_bytes()
    archive.write_bytes(b"<html>Sign in to this hotel's network</html>")
    with pytest.raises(ValueError, match=r"corpus\.zip is not a complete ZIP"):
        fetch_zip(archive.as_uri(), folder)
    archive.write_bytes(whole)
    assert (fetch_zip(archive.as_uri(), folder) / "wav/a").is_file()


def test_a_full_disk_while_unpacking_leaves_no_half_corpus(archive, folder, monkeypatch):
    def full(self, path):
        path.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(zipfile.ZipFile, "extractall", full)
        fetch_zip(archive.as_uri(), folder)
    assert [path.name for path in folder.parent.iterdir()] == ["corpus.zip"]  # complete: not downloaded again
    archive.unlink()
    assert (fetch_zip(archive.as_uri(), folder) / "wav/a").is_file()


@pytest.mark.parametrize("url", ["file:///no/such/a.zip", "http://127.0.0.1:1/a.zip"])
def test_what_cannot_be_reached_is_named(folder, url):
    with pytest.raises(ConnectionError, match=rf"{url} .* data_folder"):
        fetch_zip(url, folder)
