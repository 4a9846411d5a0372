"""The step that makes a file of half precision."""

from pathlib import Path

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work
from akd_toolkit.deploy.export.precision import to_fp16


@COMPRESSIONS.register("fp16")
class Fp16(Compression):
    """Make a file of half precision; the front end stays in 32 bits.

    Source: ``export/precision.py``, where it is said what a CPU makes of such a file.

    Example
    -------
    >>> Fp16().file
    'student.fp16.onnx'
    """

    file = "student.fp16.onnx"

    def write(self, work: Work, exported: Path, target: Path) -> None:
        to_fp16(exported, target)
