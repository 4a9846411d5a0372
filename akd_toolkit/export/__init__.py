"""Students as files: one ONNX graph from waveform to probabilities, checked against the trained module.

>>> sorted(__all__)
['ParityReport', 'check_parity', 'export_onnx', 'predict_onnx', 'read_metadata']
"""

from akd_toolkit.export.onnx import export_onnx
from akd_toolkit.export.parity import ParityReport, check_parity
from akd_toolkit.export.session import predict_onnx, read_metadata

__all__ = ["ParityReport", "check_parity", "export_onnx", "predict_onnx", "read_metadata"]
