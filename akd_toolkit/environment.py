"""Import SpeechBrain as ``sb``; one sentence instead of a traceback if torch and torchaudio do not fit together."""

import logging
import traceback
from importlib.metadata import PackageNotFoundError, version

import torch


def torchaudio_problem(error: Exception) -> ImportError | None:
    """The message if torchaudio failed to load, else None."""
    frames = traceback.extract_tb(error.__traceback__)
    if getattr(error, "name", "") != "torchaudio" and not any("torchaudio" in frame.filename for frame in frames):
        return None
    try:
        found = f"torchaudio {version('torchaudio')}"
    except PackageNotFoundError:
        found = "torchaudio"
    build = "" if torch.version.cuda else ", a CPU-only build, which no torchaudio fits"
    return ImportError(
        f"{found} does not load with torch {torch.__version__}{build} ({str(error).splitlines()[0]}); install a pair "
        "that fits: pip install torch==2.14.1 torchaudio==2.11.1."  # setup.cfg lists the tested pairs
    )


try:
    import speechbrain as sb
except (ImportError, OSError, RuntimeError) as error:
    if (problem := torchaudio_problem(error)) is None:
        raise
    raise problem from None

# SpeechBrain warns at import that figures need torchvision; the toolkit saves none.
logging.getLogger("speechbrain.utils.train_logger").addFilter(lambda record: "torchvision" not in record.getMessage())

__all__ = ["sb"]
