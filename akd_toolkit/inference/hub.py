"""Students on this disk and on the Hugging Face hub: find, download, check, upload."""

import errno
import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path

import akd_toolkit
from akd_toolkit import __version__
from akd_toolkit.data.files import ONNX_FILE, SETTINGS, is_hub_name
from akd_toolkit.inference import bundle

logger = logging.getLogger(__name__)

PRETRAINED = Path(akd_toolkit.__file__).parent / "pretrained"  # a bundle, if this package contains one
SOURCES = "the folder of a finished run or of a bundle, an .onnx file, or owner/name of a repository on the hub"


def find_student(source: str | Path | None, **options) -> Path:
    """The folder or file of one student; for an experiment the error names a run. Options: see ``resolve_source``.

    ``source`` None is the student that is part of this package; FileNotFoundError if this package has none.
    """
    if source is None:
        if not bundle.is_bundle(PRETRAINED):
            missing = f"this akd_toolkit {__version__} contains no trained student"
            raise FileNotFoundError(f"{missing}; give source (--model): {SOURCES}.")
        source = PRETRAINED
    if not isinstance(source, (str, os.PathLike)) or not str(source):
        raise ValueError(f"source must be {SOURCES}, got {source!r}.")
    place = resolve_source(source, **options)
    if place.is_file() or any((place / name).is_file() for name in (ONNX_FILE, SETTINGS)):
        return place
    from akd_toolkit.experiment.paths import refits_below  # its import takes time

    runs = refits_below(place)
    done = next((run for run in runs if run.student.is_file() and run.done), None)
    if done:
        raise ValueError(f"{source} holds several runs; choose one of them, such as {done.folder}.")
    if runs:
        raise ValueError(f"{source} holds {len(runs)} runs, and none of them is finished; continue its training.")
    return place


def resolve_source(
    source: str | Path,
    revision: str | None = None,
    cache_folder: str | Path | None = None,
    local_only: bool = False,
    with_torch: bool = True,
) -> Path:
    """A checked folder or file on this disk for the source of a student.

    Arguments
    ---------
    source
        A folder (a finished run, a bundle), an ``.onnx`` file, or ``owner/name`` on the hub; a folder comes first.
    revision
        Branch, tag or commit; a commit (40 hexadecimal digits) in the cache needs no network.
    cache_folder, local_only
        Where downloads are kept (None: the hub's own cache, ``HF_HOME``), and whether only that is used, as with
        ``HF_HUB_OFFLINE=1``.
    with_torch
        Whether PyTorch will build the student even if there is an exported file.

    FileNotFoundError, PermissionError or ConnectionError if there is no such source or copy, no valid token for it, or
    the hub fails; ValueError if it holds a file that no bundle has, or one that differs from its release and so leaves
    the cache.
    """
    path = Path(source).expanduser()
    if path.exists():
        if revision is not None:
            raise ValueError(f"{source} is on this disk and has no revisions; leave revision out.")
        if path.is_dir():
            bundle.check_folder(path, with_torch)
        return path
    if not is_hub_name(source):
        raise FileNotFoundError(f"{source} does not exist; give {SOURCES}.")
    from huggingface_hub import constants

    revision, offline = revision or "main", local_only or constants.HF_HUB_OFFLINE
    if offline or re.fullmatch(r"[0-9a-f]{40}", revision):
        if folder := _cached(source, revision, cache_folder, with_torch, required=offline):
            return folder
        if offline:
            raise FileNotFoundError(f"{source} ({revision}) is not in the cache; load it once with a network.")
    try:
        return _check_download(_download(source, revision, cache_folder), with_torch)
    except ConnectionError as error:
        folder = _cached(source, revision, cache_folder, with_torch)
        if folder is None:
            raise
        logger.warning("%s The copy in the cache is used.", error)
        return folder


def _cached(name: str, revision: str, cache_folder, with_torch: bool, required: bool = False) -> Path | None:
    """The checked copy of a revision in the cache; None if it is missing or, unless ``required``, damaged."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        file = hf_hub_download(name, bundle.LIST, revision=revision, cache_dir=cache_folder, local_files_only=True)
        return _check_download(Path(file).parent, with_torch)
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    except bundle.DamagedFile:  # or incomplete, because its download was stopped
        if required:
            raise
        return None


def _check_download(folder: Path, with_torch: bool) -> Path:
    """Check a download; a damaged file and the list, which may be wrong instead, leave the cache."""
    cache = folder.parents[2]  # <cache>/models--owner--name/snapshots/<commit> holds links to other places in <cache>
    try:
        bundle.check_bundle(folder, cache, with_torch)
    except bundle.DamagedFile as error:
        for path in (folder / error.name, folder / bundle.LIST):
            if path.resolve().is_relative_to(cache.resolve()):
                path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        raise
    return folder


def _download(name: str, revision: str, cache_folder: str | Path | None) -> Path:
    """Fetch the files of a bundle, after names and sizes of all files of the repository were checked."""
    from huggingface_hub import HfApi, constants, hf_hub_download

    endpoint, what = constants.ENDPOINT, f"{name} ({revision})"

    def fetch(file: str, at: str) -> Path:
        return Path(hf_hub_download(name, file, revision=at, cache_dir=cache_folder, endpoint=endpoint))

    with _plain_errors(name, what):
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True, timeout=timeout)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        bundle.check_names(sizes, what)
        for file in bundle.REQUIRED:
            if file not in sizes:
                raise ValueError(f"{what} is not a bundle ({file} is missing); give a repository from akd release.")
        files = [file for file in bundle.ALLOWED if file in sizes]
        for file in files:
            if sizes[file] > (limit := bundle.CHECKS[file][1]):
                raise ValueError(f"{what}: {file} has {sizes[file]} bytes, and at most {limit} are allowed.")
        folder = fetch(bundle.LIST, revision).parent  # by the revision, so that the cache knows which commit it is
        if folder.name != info.sha:
            raise ConnectionError(f"{what} was changed on {endpoint} during the download; try again.")
        for file in files:  # those in the cache are skipped
            fetch(file, info.sha)
    return folder


def upload(folder: str | Path, name: str, private: bool = False, revision: str | None = None) -> str:
    """Make the repository ``name`` hold exactly this bundle, in one commit; returns the commit.

    The repository, ``private`` or not, and the branch ``revision`` are created if they do not exist. PermissionError
    without a token with write access (``HF_TOKEN``, or ``hf auth login``), ConnectionError if the hub fails, ValueError
    if the folder is not a valid bundle or the repository holds other files.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants

    folder, endpoint = Path(folder), constants.ENDPOINT
    is_download = folder.parent.name == "snapshots"
    bundle.check_bundle(folder, links_into=folder.parents[2] if is_download else None)
    files = [file for file in bundle.ALLOWED if (folder / file).exists()]
    api = HfApi(endpoint=endpoint)
    with _plain_errors(name, name):
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        existing = [file.rfilename for file in api.model_info(name, revision=revision).siblings or []]
        bundle.check_names(existing, name)
        changes = [CommitOperationAdd(file, folder / file) for file in files]
        changes += [CommitOperationDelete(file) for file in bundle.ALLOWED if file in existing and file not in files]
        commit = api.create_commit(name, changes, commit_message="Release by akd_toolkit", revision=revision)
    logger.info("%s/%s holds the bundle as commit %s.", endpoint, name, commit.oid)
    return commit.oid


@contextmanager
def _plain_errors(name: str, what: str):
    """Raise one plain sentence for whatever a request for ``what`` to the hub raises."""
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"{name} is not a valid repository name ({str(error).splitlines()[0]}).") from None
    except ValueError as error:  # ours, or the hub's verdict on a card, which has several lines
        raise ValueError(" ".join(str(error).split())) from None
    except (HTTPError, OSError, RuntimeError) as error:  # a failed upload of one file comes as RuntimeError
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
        raise _plain_error(cause, what) from None


def _plain_error(error: Exception, what: str) -> Exception:
    from huggingface_hub import constants, errors

    endpoint = constants.ENDPOINT
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return _plain_error(error.__cause__, what)
    if type(error) is ConnectionError:
        return error
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return OSError(error.errno, f"no space left for {what} in the cache; free some, or give another cache_folder")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RevisionNotFoundError):
        return FileNotFoundError(f"{what} is not on {endpoint}: there is no such revision; check its name.")
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return PermissionError(f"you have no access to {what}; request it on {endpoint}, and set HF_TOKEN.")
    if status == 401:
        return PermissionError(f"{what} is private or does not exist on {endpoint}; check the name, or set HF_TOKEN.")
    if status == 404:
        return FileNotFoundError(f"{what} is neither a folder here nor a repository on {endpoint}; check the name.")
    if status is not None:
        return ConnectionError(f"{endpoint} returned {status} for {what}; try again later.")
    if "Timeout" in " ".join(kind.__name__ for kind in type(error).__mro__):  # the HTTP library differs by version
        return ConnectionError(f"{endpoint} timed out for {what}; try again later.")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return ConnectionError(f"the connection to {endpoint} failed for {what} ({reason}); try again, check the network.")
