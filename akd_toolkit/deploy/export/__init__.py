"""Export of students: one file from waveform to probabilities, compared with the trained module."""

from akd_toolkit.deploy.export.onnx import export_onnx
from akd_toolkit.deploy.export.parity import ParityReport, check_parity
from akd_toolkit.inference.session import read_metadata

__all__ = ["ParityReport", "check_parity", "export_onnx", "read_metadata"]
