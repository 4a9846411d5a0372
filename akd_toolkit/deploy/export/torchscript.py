"""TorchScript export: a student as one file for programs that run libtorch (C++, mobile) without Python."""

import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.export.onnx import Probabilities, prepared, quiet
from akd_toolkit.deploy.export.parity import ParityReport, check_parity
from akd_toolkit.inference.session import MIN_SAMPLES, checked_metadata

ABOUT = "about.json"  # the file with the metadata within the archive


class WithLengths(torch.nn.Module):
    """A traced student that also takes ``lengths``: each row of a padded batch is computed at its own length."""

    def __init__(self, student: torch.nn.Module):
        super().__init__()
        self.student = student

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None or bool((lengths == 1).all()):
            return self.student(waveform)
        counts = (lengths * waveform.shape[1]).round().long().expand(waveform.shape[0])
        rows: list[Tensor] = []
        for row in range(waveform.shape[0]):
            rows.append(self.student(waveform[row : row + 1, : int(counts[row])]))
        return torch.cat(rows)


def export_torchscript(student: torch.nn.Module, path, about: dict) -> ParityReport:
    """Write ``student`` as one TorchScript file and check that the file gives the module's probabilities.

    ``path`` ends in ``.pt``, ``about`` is the content of ``student.json``. Input, output and metadata (``about.json``
    in the archive) are those of the ONNX file; ``lengths``, [batch] or [1], is an optional second argument. ValueError
    if the student cannot be traced, the labels do not fit it, or file and module differ: a trace cannot follow a
    student that branches on the length in Python.
    """
    student, metadata = prepared(student, about)
    with quiet():
        try:
            with torch.no_grad():
                example = torch.zeros(2, 3 * MIN_SAMPLES)
                traced = torch.jit.trace(Probabilities(student).eval(), (example,), check_trace=False, strict=False)
        except Exception as error:  # the tracer has many
            reason = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{type(student).__name__} cannot be traced for TorchScript ({reason}); export it to ONNX instead."
            ) from None
        scripted = torch.jit.script(WithLengths(traced))
        with written_aside(path) as aside:
            torch.jit.save(scripted, str(aside), _extra_files={ABOUT: json.dumps(metadata).encode()})
            _remove_debug_files(aside)
            return check_parity(aside, student)


def load_torchscript(path):
    """An exported ``.pt`` file as a function [batch, samples] -> [batch, classes], and its metadata.

    The function takes ``lengths`` [batch] as its second argument where the metadata contain ``lengths``. A TorchScript
    file holds a program, so load only files that you trust; the toolkit itself downloads only ONNX.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; export a student to it first.")
    extra = {ABOUT: ""}
    with quiet():
        try:
            module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ValueError(f"{path} is not a TorchScript file ({reason}); export it again.") from None
    try:
        metadata = checked_metadata(json.loads(extra[ABOUT] or "{}"), path)
    except json.JSONDecodeError:
        raise ValueError(f"the metadata of {path} cannot be read; export it again.") from None

    @torch.inference_mode()
    def predict(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        given = [np.ascontiguousarray(each, dtype=np.float32) for each in (waveforms, lengths) if each is not None]
        return module(*map(torch.from_numpy, given)).numpy()

    return predict, metadata


def _remove_debug_files(path: Path) -> None:
    """Rewrite the archive without the paths of this machine's source files."""
    with zipfile.ZipFile(path) as archive:
        parts = [(info, archive.read(info)) for info in archive.infolist() if not info.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for info, content in parts:
            _, _, name = info.filename.partition("/")  # the folder is named after the temporary file
            archive.writestr(zipfile.ZipInfo(f"student/{name}"), content)
