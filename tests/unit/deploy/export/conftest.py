"""One student and its exported files in every precision, shared by the tests of this folder."""

import numpy as np
import pytest
import torch

from akd_toolkit import models  # noqa: F401  registers the students
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.models.base import Student
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS

LABELS = ("anger", "fear", "neutral")
# A micro CNN wide enough to gain by 8-bit arithmetic.
MICRO = {"name": "micro_cnn", "channels": [16, 32], "dim": 128, "dilations": [1], "embedding_dim": 16}


def voices(count: int = 6, num_samples: int = 16000) -> list[np.ndarray]:
    """Buzzes of different pitch, with a falling pitch and a varying level."""
    t = np.arange(num_samples) / 16000
    random = np.random.default_rng(0)
    made = []
    for pitch in np.linspace(90, 260, count):
        phase = 2 * np.pi * pitch * t * (1 - 0.1 * t)
        buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)
        made.append((0.1 * buzz * swell + 0.001 * random.standard_normal(num_samples)).astype(np.float32))
    return made


class Level(Student):
    """Louder is angrier: exported in seconds and computed by hand."""

    def __init__(self, weight=(4.0, 0.0, -4.0)):
        super().__init__(3)
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, waveform, lengths=None):
        level = waveform.abs().mean(dim=1, keepdim=True)
        if lengths is not None:  # the padding is silent
            level = level / lengths[:, None]
        return ModelOutput(self.dropout(level * self.weight), embedding=level)


@pytest.fixture(scope="session")
def level_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("level") / "level.onnx"
    export_onnx(Level(), path, LABELS, sample_rate_hz=16000, window_s=1.0)
    return path


@pytest.fixture(scope="session")
def micro():
    torch.manual_seed(0)
    return STUDENTS.build(**MICRO, num_classes=3).eval()


@pytest.fixture(scope="session")
def micro_file(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "student.onnx"
    export_onnx(micro, path, LABELS, window_s=1.0, about={"test_overlap_s": 0.5, "corpus": "Toy"})
    return path


@pytest.fixture(scope="session")
def files(micro_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("precisions")
    return {
        "fp32": micro_file,
        "fp16": to_fp16(micro_file, folder / "fp16.onnx"),
        "static": to_int8(micro_file, folder / "static.onnx", voices()),
        "dynamic": to_int8(micro_file, folder / "dynamic.onnx", mode="dynamic"),
    }
