"""One trained-looking student and its exported file, shared by the tests of formats and precisions."""

import numpy as np
import pytest
import torch

from akd_toolkit import models  # noqa: F401  registers the students
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.registry import STUDENTS

LABELS = ("anger", "fear", "neutral")


def voices(count: int = 6, num_samples: int = 16000) -> list[np.ndarray]:
    """Buzzes with a pitch that falls and a level that swells, each another one."""
    t = np.arange(num_samples) / 16000
    random = np.random.default_rng(0)
    made = []
    for pitch in np.linspace(90, 260, count):
        phase = 2 * np.pi * pitch * t * (1 - 0.1 * t)
        buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)
        made.append((0.1 * buzz * swell + 0.001 * random.standard_normal(num_samples)).astype(np.float32))
    return made


@pytest.fixture(scope="session")
def micro():
    """A micro CNN wide enough to gain by 8-bit arithmetic."""
    torch.manual_seed(0)
    options = {"channels": [16, 32], "dim": 128, "dilations": [1], "embedding_dim": 16}
    return STUDENTS.build("micro_cnn", num_classes=3, **options).eval()


@pytest.fixture(scope="session")
def micro_file(micro, tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "student.onnx"
    about = {"test_overlap_s": 0.5, "corpus": "Toy"}
    export_onnx(micro, path, LABELS, window_s=1.0, about=about)
    return path
