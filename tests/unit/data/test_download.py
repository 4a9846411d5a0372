import errno
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from akd_toolkit.data.preparing import fetch_zip


def zip_of(**files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


@pytest.fixture
def server():
    """A local server: ``server.pages[path] = (status, promised length or None, body)``; ``server.url(path)``."""
    pages, requested = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requested.append(self.path)
            status, promised, body = pages.get(self.path, (404, None, b"no such page"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if promised is None else promised))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.pages, server.requested = pages, requested
    server.url = lambda path: f"http://127.0.0.1:{server.server_port}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "corpus"


def test_an_archive_is_fetched_unpacked_and_reused(server, folder):
    server.pages["/a.zip"] = (200, None, zip_of(wav__a="sound", readme="words"))
    assert fetch_zip(server.url("/a.zip"), folder) == folder
    assert (folder / "wav" / "a").read_text() == "sound"
    assert list(folder.parent.iterdir()) == [folder]
    fetch_zip(server.url("/a.zip"), folder)
    assert server.requested == ["/a.zip"]


def test_a_transfer_that_breaks_off_leaves_nothing_behind(server, folder):
    whole = zip_of(a="x" * 1000)
    server.pages["/a.zip"] = (200, len(whole), whole[:100])
    with pytest.raises(ConnectionError, match=rf"/a\.zip .*stopped after 100 of {len(whole)} bytes"):
        fetch_zip(server.url("/a.zip"), folder)
    assert not list(folder.parent.iterdir())
    server.pages["/a.zip"] = (200, None, whole)
    assert (fetch_zip(server.url("/a.zip"), folder) / "a").is_file()


def test_a_page_that_is_not_an_archive_is_refused_and_downloaded_again(server, folder):
    server.pages["/a.zip"] = (200, None, b"<html>Sign in to this hotel's network</html>")
    with pytest.raises(ValueError, match=r"corpus\.zip is not a complete ZIP"):
        fetch_zip(server.url("/a.zip"), folder)
    server.pages["/a.zip"] = (200, None, zip_of(a="x"))
    assert (fetch_zip(server.url("/a.zip"), folder) / "a").is_file()


def test_a_full_disk_while_unpacking_leaves_no_half_corpus(server, folder, monkeypatch):
    server.pages["/a.zip"] = (200, None, zip_of(a="x"))

    def full(self, path):
        path.mkdir()
        (path / "half").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_zip(server.url("/a.zip"), folder)
    assert [path.name for path in folder.parent.iterdir()] == ["corpus.zip"]  # complete: not downloaded again
    monkeypatch.undo()
    fetch_zip(server.url("/a.zip"), folder)
    assert server.requested == ["/a.zip"]


def test_a_server_that_cannot_be_reached_or_lacks_the_page_is_named(server, folder):
    with pytest.raises(ConnectionError, match=r"/gone\.zip cannot be downloaded .*404"):
        fetch_zip(server.url("/gone.zip"), folder)
    with pytest.raises(ConnectionError, match="127.0.0.1:1/a.zip .* data_folder"):
        fetch_zip("http://127.0.0.1:1/a.zip", folder)
    assert not list(folder.parent.iterdir())
