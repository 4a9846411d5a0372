"""Where a student lies, and what somebody is told who names something near it."""

import difflib
import inspect
import os
from collections.abc import Callable
from pathlib import Path

from akd_toolkit.data.files import ONNX_FILE, SETTINGS
from akd_toolkit.experiment.paths import refits_below

WHAT = "the folder of a finished run or of a bundle, an .onnx file, or owner/name of a repository on the hub"


def find_student(
    source: str | Path,
    revision: str | None = None,
    cache_folder: str | Path | None = None,
    local_only: bool = False,
    built: bool = True,
) -> Path:
    """The folder or file of a student; the arguments are those of ``resolve_source``.

    Raises
    ------
    FileNotFoundError, ConnectionError, PermissionError, ValueError
        If there is no such student, or it is not as it was released; of an experiment's folder the sentence names one
        of its finished runs.
    """
    if not isinstance(source, (str, os.PathLike)) or not str(source):
        raise ValueError(f"source must be {WHAT}, got {source!r}.")
    if revision is None and (file := Path(source).expanduser()).is_file():
        return file
    from akd_toolkit.inference.download import resolve_source  # here, because a file needs nothing of it

    place = resolve_source(source, revision, cache_folder, local_only, built)
    if place.is_file() or any((place / name).is_file() for name in (ONNX_FILE, SETTINGS)):
        return place
    runs = refits_below(place)
    done = next((run for run in runs if run.student.is_file() and run.done), None)
    if done:
        raise ValueError(f"{source} holds several runs; choose one of them, such as {done.folder}.")
    if runs:
        raise ValueError(f"{source} holds {len(runs)} runs, and none of them is finished; go on with its training.")
    return place


def check_options(options: dict, of: Callable, where: str, but: tuple[str, ...] = ()) -> None:
    """Refuse a name that ``of`` has no argument for, with the nearest that it has.

    Example
    -------
    >>> check_options({"hop": 0.5}, lambda engine, hop_s, min_s: None, "stream", but=("engine",))
    Traceback (most recent call last):
    ValueError: stream has no option 'hop', did you mean 'hop_s'? There are hop_s, min_s.
    """
    known = [name for name in inspect.signature(of).parameters if name not in but]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean '{near[0]}'? There" if near else "; there"
            raise ValueError(f"{where} has no option '{name}'{hint} are {', '.join(known)}.")
