"""Export of students: one file from waveform to probabilities, compared with the trained module.

>>> sorted(__all__)
['ParityReport', 'check_parity', 'export_onnx', 'read_metadata']
"""

import importlib

# Imported on first use, so that `akd export --help` loads neither NumPy nor PyTorch.
_LAZY = {
    "ParityReport": "akd_toolkit.deploy.export.parity",
    "check_parity": "akd_toolkit.deploy.export.parity",
    "export_onnx": "akd_toolkit.deploy.export.onnx",
    "read_metadata": "akd_toolkit.inference.session",
}

__all__ = ["ParityReport", "check_parity", "export_onnx", "read_metadata"]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
