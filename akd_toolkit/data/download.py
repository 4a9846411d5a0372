"""Public archives: downloaded and unpacked completely, or not at all."""

import http.client
import logging
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from tqdm import tqdm

from akd_toolkit.data.files import written_aside

logger = logging.getLogger(__name__)
TIMEOUT_S = 30.0


def fetch_zip(url: str, folder) -> Path:
    """Download a ZIP archive and unpack it into ``folder``; a folder that exists is reused.
    """
    folder = Path(folder)
    if folder.is_dir():
        logger.info("reused the archive unpacked in %s.", folder)
        return folder
    archive, aside = folder.with_suffix(".zip"), folder.with_name(f".{folder.name}.part")
    if not archive.is_file():
        _download(url, archive)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as members:
            members.extractall(aside)  # never writes outside of it
        aside.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        archive.unlink()  # so that the next run downloads it again
        raise ValueError(f"{archive} is not a complete ZIP archive ({error}); run again to download it.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    archive.unlink()
    return folder


def _download(url: str, path: Path) -> None:
    advice = "Check the network and run again, or download it by hand and give data_folder"
    logger.info("downloading %s to %s.", url, path)
    try:
        with written_aside(path) as aside, urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            expected = int(response.headers.get("Content-Length") or 0)
            with (
                aside.open("wb") as file,
                tqdm.wrapattr(response, "read", total=expected or None, desc=path.name) as stream,
            ):
                shutil.copyfileobj(stream, file)
                received = file.tell()
            if received < expected:
                raise ConnectionError(f"{url} stopped after {received} of {expected} bytes. {advice}.")
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectionError(f"{url} answered {error.code} {error.reason}. {advice}.") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionResetError, TimeoutError) as error:
        raise ConnectionError(f"{url} cannot be reached ({getattr(error, 'reason', error)}). {advice}.") from None
