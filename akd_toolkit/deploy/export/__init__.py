"""Export of students: one file from waveform to probabilities, compared with the trained module.

>>> sorted(__all__)
['ParityReport', 'check_parity', 'export_onnx', 'read_metadata']
"""

import importlib

PRECISIONS = ("fp32", "fp16", "int8")
FORMATS = {"onnx": PRECISIONS, "torchscript": ("fp32",), "tensorrt": ("fp32", "fp16")}
SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "tensorrt": ".plan"}
CALIBRATION = 100  # utterances; twice as many changed no more decisions

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


def check_format(format: str, precision: str, calibration: int = CALIBRATION) -> None:
    """Raise ValueError if the format has no such precision, or ``calibration`` (utterances) is below 1."""
    if precision not in FORMATS.get(format, ()):
        supported = "; ".join(f"{name} in {', '.join(precisions)}" for name, precisions in FORMATS.items())
        raise ValueError(f"{format} does not support {precision}; supported: {supported}.")
    if calibration < 1:
        raise ValueError(f"calibration must be at least 1 utterance, got {calibration}.")
