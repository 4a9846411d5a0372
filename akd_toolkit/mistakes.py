"""A user's mistake ends a program with one sentence; a bug shows its traceback."""

import os
import sys
from collections.abc import Callable

# The modules of the extra train; see setup.cfg.
TRAIN = {
    *("torch", "torchaudio", "speechbrain", "transformers", "hyperpyyaml", "pydantic", "scipy", "sklearn", "pandas"),
    *("matplotlib", "jinja2", "markdown_it", "psutil", "cloudpickle", "joblib", "onnxscript", "sentencepiece"),
}
NEEDS_TRAIN = "this needs {}, which is not installed: pip install 'akd-toolkit[train]'."


def require(module: str) -> None:
    """ImportError with the cure if a package of the extra train is missing; nothing is imported."""
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise ImportError(NEEDS_TRAIN.format(module))


def import_hook(default: Callable) -> Callable:
    """An exception hook that prints an ImportError of the toolkit's modules as one sentence.

    A recipe imports them before ``exit_code`` runs.
    """

    def hook(kind, error, trace):
        import traceback

        packages = [frame.f_globals.get("__package__") or "" for frame, _ in traceback.walk_tb(trace)]
        ours = issubclass(kind, ImportError) and any(package.startswith("akd_toolkit") for package in packages)
        if ours and (sentence := sentence_for(error)):
            print(f"error: {sentence}", file=sys.stderr)
        else:
            default(kind, error, trace)

    return hook


def exit_code(program: Callable[[], int | None]) -> int:
    """Run ``program`` and return its exit code (0 for None).

    1 for a user's mistake, which is printed as one sentence, and for a closed output pipe; 130 after Ctrl-C. A bug is
    raised.
    """
    import logging  # imported here, because --help does not need it

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for name in ["speechbrain", *(name for name in logging.root.manager.loggerDict if name.startswith("speechbrain."))]:
        logging.getLogger(name).setLevel(logging.WARNING)  # SpeechBrain's modules set their own level
    try:
        return program() or 0
    except KeyboardInterrupt:
        print("\nstopped; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as by | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not (sentence := sentence_for(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 1


def sentence_for(error: Exception) -> str:
    """The sentence that the user gets instead of a traceback; empty for a bug.

    ``ValueError``, ``TypeError`` and ``ImportError`` are meant for the user if a ``raise`` statement made them.

    Example
    -------
    >>> try:
    ...     int("x")
    ... except ValueError as error:
    ...     sentence_for(error)
    ''
    """
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in text:
        reason = text.partition("\n")[0]
        return f"the memory is full ({reason}); lower batch_size or --jobs, or close other programs."
    if " in DataLoader worker process " in text:  # followed by the worker's traceback
        return _sentence_of_worker(error)
    if isinstance(error, ModuleNotFoundError) and error.name in TRAIN:
        return NEEDS_TRAIN.format(error.name)
    if text.startswith("DataLoader worker "):
        return "a DataLoader worker died, most often for lack of (shared) memory; lower num_workers or batch_size."
    if type(error) in (ValueError, TypeError, ImportError) and not _raised_on_purpose(error):
        return ""
    if isinstance(error, OSError) and error.strerror and error.filename and text.startswith("[Errno"):
        return f"{error.filename}: {error.strerror.lower()}; check the path, its permissions and the disk."
    return text if isinstance(error, ValueError | TypeError | OSError | ImportError) else ""


def _raised_on_purpose(error: Exception) -> bool:
    import linecache
    import traceback

    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")


def _sentence_of_worker(error: Exception) -> str:
    import re

    *_, last = re.split(r'\n  File "[^\n]*\n', str(error))
    source, _, message = re.sub(r"\n    [^\n]*", "", last).partition("\n")
    on_purpose = source.lstrip().startswith("raise ") and isinstance(error, ValueError | TypeError | ImportError)
    return message.partition(": ")[2].strip() if on_purpose or isinstance(error, OSError) else ""
