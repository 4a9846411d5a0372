"""Files that are either whole or not there."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

# What a run leaves of its student, and a bundle holds.
WEIGHTS, SETTINGS, ONNX_FILE = "student.safetensors", "student.json", "student.onnx"


@contextmanager
def written_aside(path):
    """Yield a path beside ``path`` to write to; it takes the place of ``path`` only when the block ends well.

    A full disk, an exception or Ctrl-C removes the temporary file and leaves what was at ``path`` as it was.

    Raises
    ------
    OSError
        If the disk is full; the sentence names the file.

    Example
    -------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with written_aside(path) as aside:
    ...     _ = aside.write_text("whole")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, because writers of audio choose the format by it.
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield aside
        os.replace(aside, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"no space left to write {path}; what was there before is untouched. Free some space and run again",
            ) from error
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text_aside(path, text: str) -> None:
    """Write ``text`` to ``path`` so that a reader sees the old file or the new one, never a part."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
