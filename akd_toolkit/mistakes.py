"""A user's mistake ends a program with one sentence; a bug shows its traceback."""

import os
import sys
from collections.abc import Callable


def exit_code(program: Callable[[], int | None]) -> int:
    """Run a program and return its exit code: what it returns, or 0 for None.

    1 for a user's mistake, a full disk or memory (one sentence on standard error) and where nobody reads the output any
    more, 130 when stopped by Ctrl-C. A bug is raised.
    """
    import logging  # here, as --help and a word that is not understood do without

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ["speechbrain", *(name for name in logging.root.manager.loggerDict if name.startswith("speechbrain."))]:
        logging.getLogger(name).setLevel(logging.WARNING)  # each sets its own level when imported
    try:
        return program() or 0
    except KeyboardInterrupt:
        print("\nstopped; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads has read enough: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not (sentence := sentence_for(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 1


def sentence_for(error: Exception) -> str:
    """What to tell the user instead of a traceback; empty for a bug.

    ``ValueError``, ``TypeError`` and ``ImportError`` are sentences for the user where a ``raise`` made them, and bugs
    where the interpreter or compiled code did.

    Example
    -------
    >>> try:
    ...     int("x")
    ... except ValueError as error:
    ...     sentence_for(error)
    ''
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error):
        reason = str(error).partition("\n")[0]
        return f"the memory is full ({reason}); lower batch_size or --jobs, or close other programs."
    if " in DataLoader worker process " in str(error):
        return _sentence_of_worker(error)
    if str(error).startswith("DataLoader worker "):  # PyTorch's, of a worker that ended without an error
        return "a DataLoader worker died, most often for want of (shared) memory; lower num_workers or batch_size."
    if type(error) in (ValueError, TypeError, ImportError) and not _raised_on_purpose(error):
        return ""
    return str(error) if isinstance(error, ValueError | TypeError | OSError | ImportError) else ""


def _raised_on_purpose(error: Exception) -> bool:
    import linecache
    import traceback

    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")


def _sentence_of_worker(error: Exception) -> str:
    """The same for an error of a DataLoader's worker, whose text is a traceback."""
    import re

    *_, last = re.split(r'\n  File "[^\n]*\n', str(error))
    source, _, said = re.sub(r"\n    [^\n]*", "", last).partition("\n")
    on_purpose = source.lstrip().startswith("raise ") and isinstance(error, ValueError | TypeError | ImportError)
    return said.partition(": ")[2].strip() if on_purpose or isinstance(error, OSError) else ""
