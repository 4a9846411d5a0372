"""Which trainings are at work: a mark in the folder of each, which a killed process leaves behind."""

import json
import os
import socket
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from akd_toolkit.data.files import write_text_aside

STATES = ("done", "running", "stopped", "planned")  # of a training
RUNNING = "running.json"  # written by a training when it begins, removed when it ends


@contextmanager
def marked_as_running(folder: Path):
    """Say in the folder of a training which process is at it, for as long as the block lasts.

    Raises
    ------
    ValueError
        If another process is at it already.
    """
    mark = folder / RUNNING
    if is_running(folder):
        other = json.loads(mark.read_text(encoding="utf-8"))
        raise ValueError(
            f"{folder} is being trained by process {other['pid']} on {other['host']} since {other['since']}; wait for "
            f"it or stop it, and if it no longer runs, delete {mark}."
        )
    since = datetime.now().astimezone().isoformat("T", "seconds")
    write_text_aside(mark, json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}) + "\n")
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def is_running(folder: Path) -> bool:
    """Whether the training of this folder is at work; of another machine it is believed.

    A process that was killed leaves its mark behind: on this machine the process is looked for.
    """
    path = folder / RUNNING
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
        if mark["host"] != socket.gethostname():
            return True
        os.kill(mark["pid"], 0)
    except PermissionError:  # somebody else's process, and at work
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
