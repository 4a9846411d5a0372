"""A bundle to a repository of the hub, in one commit."""

import logging
from pathlib import Path

from akd_toolkit.inference.bundle import ALLOWED, check_bundle, check_names
from akd_toolkit.inference.download import plain_error

logger = logging.getLogger(__name__)


def upload(folder: str | Path, name: str, private: bool = False, revision: str | None = None) -> str:
    """Make ``name`` hold exactly this bundle; returns the commit, by which a download can be pinned.

    Arguments
    ---------
    name
        ``owner/name``; made where there is none. A repository that holds other things is refused.
    private
        Whether a repository that is made now is private; one that exists stays as it is.
    revision
        Branch, made where there is none; None: the main one.

    Raises
    ------
    PermissionError
        If no token, or one that may not write there, is set (``HF_TOKEN``, or ``hf auth login``).
    ConnectionError
        If the hub cannot be reached or fails.
    ValueError
        If the folder is no sound bundle, or the repository holds what no bundle holds.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
    from huggingface_hub.errors import HFValidationError, HTTPError

    folder, endpoint = Path(folder), constants.ENDPOINT
    check_bundle(folder)
    files = [file for file in ALLOWED if (folder / file).exists()]
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        there = [file.rfilename for file in api.model_info(name, revision=revision).siblings or []]
        check_names(there, name)
        changes = [CommitOperationAdd(file, folder / file) for file in files]
        changes += [CommitOperationDelete(file) for file in ALLOWED if file in there and file not in files]
        done = api.create_commit(name, changes, commit_message="Release by akd_toolkit", revision=revision)
    except HFValidationError as error:
        raise ValueError(f"{name} is no name of a repository ({str(error).splitlines()[0]}).") from None
    except (HTTPError, OSError, RuntimeError) as error:  # a failed upload of one file comes as RuntimeError
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
        raise plain_error(cause, name, endpoint) from None
    except ValueError as error:  # the hub's judgement of a card has several lines
        raise ValueError(" ".join(str(error).split())) from None
    logger.info("%s/%s holds the bundle as commit %s.", endpoint, name, done.oid)
    return done.oid
