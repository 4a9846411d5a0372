"""Public archives: fetched to a side file, unpacked beside, and in place only when whole."""

import http.client
import logging
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from akd_toolkit.data.files import written_aside

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16


def fetch_zip(url: str, folder) -> Path:
    """Fetch a ZIP archive and unpack it into ``folder``; a folder that is there already is reused.

    Raises
    ------
    ConnectionError
        If there is no network, the server refuses, or less arrives than it announced.
    ValueError
        If what arrives is no ZIP archive, is damaged, or would write outside ``folder``.
    """
    folder = Path(folder)
    if folder.is_dir():
        logger.info("reused the archive unpacked in %s.", folder)
        return folder
    archive = folder.with_suffix(".zip")
    if not archive.is_file():
        _fetch(url, archive)
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _unpack(archive, aside)
        aside.rename(folder)
    except ValueError:
        archive.unlink()  # so that the next run fetches it again
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    archive.unlink()
    return folder


def _fetch(url: str, path: Path) -> None:
    advice = "Check the network and run again, or fetch it by hand and give data_folder"
    logger.info("fetching %s to %s.", url, path)
    try:
        with written_aside(path) as aside, urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            expected = int(answer.headers.get("Content-Length") or 0)
            with aside.open("wb") as file, tqdm(total=expected or None, unit="B", unit_scale=True) as bar:
                while chunk := answer.read(CHUNK_BYTES):
                    bar.update(file.write(chunk))
                received = file.tell()
            if expected and received < expected:
                raise ConnectionError(f"{url} broke off after {received} of {expected} bytes. {advice}.")
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectionError(f"{url} answered {error.code} {error.reason}. {advice}.") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionResetError, TimeoutError) as error:
        raise ConnectionError(f"{url} cannot be reached ({getattr(error, 'reason', error)}). {advice}.") from None


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as members:
            for name in members.namelist():
                parts = PurePosixPath(name.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts or ":" in name:
                    raise ValueError(f"{archive} holds '{name}', which would land outside {folder}; not unpacked.")
            members.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive} is not a whole ZIP archive ({error}); run again to fetch it anew.") from None
