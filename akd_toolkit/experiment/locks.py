"""Which trainings are running: a lock file in the folder of each, which a killed process leaves behind."""

import json
import os
import socket
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from akd_toolkit.data.files import write_text_aside


@contextmanager
def locked(lock: Path):
    """Hold the lock file of a training, which names this process, for as long as the block lasts.

    Raises
    ------
    ValueError
        If another process holds it.
    """
    if is_running(lock):
        other = json.loads(lock.read_text(encoding="utf-8"))
        raise ValueError(
            f"{lock.parent} is being trained by process {other['pid']} on {other['host']} since {other['since']}; wait "
            f"for it or stop it, and if it no longer runs, delete {lock}."
        )
    since = datetime.now().astimezone().isoformat("T", "seconds")
    write_text_aside(lock, json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}) + "\n")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def is_running(lock: Path) -> bool:
    """Whether the process that wrote a lock file still runs; one of another machine is taken to.

    A process that was killed leaves its lock behind: on this machine the process is looked for.
    """
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        if holder["host"] != socket.gethostname():
            return True
        os.kill(holder["pid"], 0)
    except PermissionError:  # another user's process
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True
