"""Adaptive knowledge distillation for speech emotion recognition."""

import sys

from akd_toolkit import mistakes

__version__ = "0.1.0"

sys.excepthook = mistakes.import_hook(sys.excepthook)
