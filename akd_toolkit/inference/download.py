"""From a name on the hub to a checked folder: listed first, fetched, compared with its sums, kept for offline use."""

import errno
import logging
import re
from pathlib import Path

from akd_toolkit.data.files import is_hub_name
from akd_toolkit.inference.bundle import ALLOWED, CHECKS, LIST, REQUIRED, DamagedFile, check_bundle, check_names
from akd_toolkit.inference.folder import check_folder

logger = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve_source(
    source: str | Path,
    revision: str | None = None,
    cache_folder: str | Path | None = None,
    local_only: bool = False,
    built: bool = True,
) -> Path:
    """A folder or file on this disk for whatever names a student.

    Arguments
    ---------
    source
        A folder (a finished run, a bundle), an ``.onnx`` file, or ``owner/name`` of a repository on the hub. What lies
        here goes before what lies there. A folder is checked by ``check_folder``, a download as the bundle it must be.
    revision
        Branch, tag or commit of a repository; a commit (40 hexadecimal digits) pins what is loaded for ever, and once
        it is in the cache needs no network.
    cache_folder
        Where downloads are kept; None: the hub's own (``HF_HOME``).
    local_only
        Whether to ask nobody and take what is in the cache; so does ``HF_HUB_OFFLINE=1``.
    built
        Of a run's folder: whether the student is to be built even where an exported file lies beside it.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, file, repository, revision or copy.
    PermissionError
        If the repository is private and no token, or a wrong one, was given.
    ConnectionError
        If the hub cannot be reached, fails, or sends less than it promised, and there is no copy in the cache.
    ValueError
        If it holds what no bundle holds, or a file is not as it was released; such a file leaves the cache.
    """
    path = Path(source).expanduser()
    if path.exists():
        if revision is not None:
            raise ValueError(f"{source} lies on this disk and has no revisions; leave revision out.")
        if path.is_dir():
            check_folder(path, built)
        return path
    if not is_hub_name(source):
        raise FileNotFoundError(
            f"{source} does not exist; give the folder of a run or of a bundle, an .onnx file, or owner/name of a "
            "repository on the hub."
        )
    return _from_hub(source, revision or "main", cache_folder, local_only)


def _from_hub(name: str, revision: str, cache_folder: str | Path | None, local_only: bool) -> Path:
    from huggingface_hub import constants

    alone = local_only or constants.HF_HUB_OFFLINE
    if alone or COMMIT.fullmatch(revision):
        folder = _cached(name, revision, cache_folder)
        if folder is None and alone:
            raise FileNotFoundError(
                f"{name} ({revision}) is not in the cache, and nobody may be asked for it; load it once with a network."
            )
        try:
            if folder is not None:
                return _checked(folder)
        except DamagedFile:
            if alone:
                raise
    try:
        return _checked(_downloaded(name, revision, cache_folder))
    except ConnectionError as error:
        folder = _cached(name, revision, cache_folder)
        try:
            whole = None if folder is None else _checked(folder)
        except DamagedFile:  # or not wholly there, because its download was stopped
            whole = None
        if whole is None:
            raise
        logger.warning("%s The copy in the cache is used.", error)
        return whole


def _downloaded(name: str, revision: str, cache_folder: str | Path | None) -> Path:
    """Fetch the allowed files, after the list of all of them has been looked at.

    Files that are already in the cache are not fetched again; a connection that breaks is taken up where it broke.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import HFValidationError, HTTPError

    endpoint = constants.ENDPOINT  # HF_ENDPOINT, as it was when huggingface_hub was imported
    what = f"{name} ({revision})"

    def fetch(file: str, at: str) -> Path:
        return Path(hf_hub_download(name, file, revision=at, cache_dir=cache_folder, endpoint=endpoint))

    try:
        told = HfApi(endpoint=endpoint).model_info(
            name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        sizes = {file.rfilename: file.size or 0 for file in told.siblings or []}
        _check_listed(sizes, what)
        folder = fetch(LIST, revision).parent  # by the name of the revision, so that the cache knows what it means
        if folder.name != told.sha:
            raise ConnectionError(f"{what} was changed on {endpoint} while it was being loaded; try again.")
        for file in ALLOWED:
            if file in sizes and file != LIST:
                fetch(file, told.sha)
    except HFValidationError as error:
        raise ValueError(f"{name} is no name of a repository ({str(error).splitlines()[0]}).") from None
    except (HTTPError, OSError) as error:
        raise plain_error(error, what, endpoint) from None
    return folder


def _check_listed(sizes: dict[str, int], what: str) -> None:
    """Refuse a repository by the names and sizes of its files, before any of them is fetched."""
    check_names(sizes, what)
    for name in REQUIRED:
        if name not in sizes:
            raise ValueError(f"{what} is no bundle ({name} is missing); give a repository that akd release filled.")
    for name, size in sizes.items():
        if name in CHECKS and size > CHECKS[name][1]:
            raise ValueError(f"{what}: {name} has {size} bytes, and at most {CHECKS[name][1]} are allowed.")


def _cached(name: str, revision: str, cache_folder: str | Path | None) -> Path | None:
    """The folder of a revision of which the cache holds at least the list, or None."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            hf_hub_download(name, LIST, revision=revision, cache_dir=cache_folder, local_files_only=True)
        ).parent
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _checked(folder: Path) -> Path:
    """The folder of a download, checked; a file that is not as it was released is taken out of the cache."""
    cache = folder.parents[
        2
    ]  # <cache>/models--owner--name/snapshots/<commit>, made of links to other places in <cache>
    try:
        check_bundle(folder, links_into=cache)
    except DamagedFile as error:
        # The list may be what is wrong, so it is fetched again as well.
        for path in (folder / error.name, folder / LIST):
            if path.resolve().is_relative_to(cache.resolve()):
                path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        raise
    return folder


def plain_error(error: Exception, what: str, endpoint: str) -> Exception:
    """One sentence for whatever a request to the hub ended with; ``what`` was asked for."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "LocalEntryNotFoundError" in kinds and error.__cause__ is not None:  # asked for a file, and looked for a copy
        return plain_error(error.__cause__, what, endpoint)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if type(error) is ConnectionError:
        return error
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return OSError(error.errno, f"no space left for {what} in the cache; free some, or give another cache_folder")
    if "RevisionNotFoundError" in kinds:
        return FileNotFoundError(f"{what} is not on {endpoint}: the repository has no such revision; check its name.")
    if "GatedRepoError" in kinds or status == 403:
        return PermissionError(f"{what} is not open to you; ask for access on {endpoint}, and set HF_TOKEN.")
    if status == 401:
        return PermissionError(f"{what} is private or does not exist on {endpoint}; check the name, or set HF_TOKEN.")
    if status == 404 or "RepositoryNotFoundError" in kinds:
        return FileNotFoundError(f"{what} is neither a folder here nor a repository on {endpoint}; check the name.")
    if status is not None:
        return ConnectionError(f"{endpoint} answered {status} when asked for {what}; try again later.")
    if "TimeoutException" in kinds:
        return ConnectionError(f"{endpoint} did not answer in time when asked for {what}; try again later.")
    if kinds & {"RemoteProtocolError", "ReadError"} or "Consistency check failed" in str(error):
        return ConnectionError(f"{what} broke off before all of it had arrived from {endpoint}; try again.")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return ConnectionError(f"{endpoint} cannot be reached for {what} ({reason}); check the network.")
