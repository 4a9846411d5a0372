"""SpeechBrain, as ``sb``; where torch and torchaudio do not fit, one sentence says what to install.

SpeechBrain imports torchaudio, whose libraries load only beside the torch that they were built for.
"""

import logging
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version

import torch

CURE = "install a pair that fits: pip install torch==2.14.1 torchaudio==2.11.1"  # setup.cfg lists the pairs tried


def misfit(error: Exception) -> ImportError | None:
    """What to tell the user if torchaudio is what did not load, or None.

    A script that does not catch it ends with the sentence, without a traceback.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if getattr(error, "name", "") != "torchaudio" and not any("torchaudio" in frame.filename for frame in frames):
        return None
    try:
        found = f"torchaudio {version('torchaudio')}"
    except PackageNotFoundError:
        found = "torchaudio"
    build = "" if torch.version.cuda else ", a CPU-only build, which no torchaudio fits"
    reason = str(error).partition("\n")[0]
    sentence = ImportError(f"{found} does not load beside torch {torch.__version__}{build} ({reason}); {CURE}.")
    usual = sys.excepthook

    def hook(kind, value, trace):
        if value is sentence:
            print(f"error: {value}", file=sys.stderr)
        else:
            usual(kind, value, trace)

    sys.excepthook = hook
    return sentence


try:
    import speechbrain as sb
except (ImportError, OSError, RuntimeError) as error:
    if (sentence := misfit(error)) is None:
        raise
    raise sentence from None

# Its loggers warn, when they are imported, that figures cannot be saved without torchvision; nothing here saves any.
logging.getLogger("speechbrain.utils.train_logger").addFilter(lambda record: "torchvision" not in record.getMessage())

__all__ = ["sb"]
