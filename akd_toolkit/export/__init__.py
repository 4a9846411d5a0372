"""Students as files: one ONNX graph from waveform to probabilities, checked against the trained module.

>>> sorted(__all__)
['ParityReport', 'check_parity', 'export_onnx', 'read_metadata']
"""

import importlib

from akd_toolkit.export.session import read_metadata

# Found when first asked for: they bring PyTorch, which those who only run a file do without.
_WITH_TORCH = {"ParityReport": "parity", "check_parity": "parity", "export_onnx": "onnx"}

__all__ = ["ParityReport", "check_parity", "export_onnx", "read_metadata"]


def __getattr__(name: str):
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
