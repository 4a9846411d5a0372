"""A student on PyTorch and on ONNX Runtime has the same interface."""

import numpy as np
import onnx
import pytest
import torch

from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.inference.engine import ONNX_FILE, Engine, open_engine
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import STUDENTS

LABELS = ("anger", "fear", "joy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder with a small student and its exported file."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    student = STUDENTS.example("micro_cnn", num_classes=len(LABELS)).eval()
    spec = {"name": "micro_cnn", **type(student).example_options}
    about = {"window_s": 0.5, "test_overlap_s": 0.25, "corpus": "toy"}
    save_student(folder, student, spec, LABELS, sample_rate_hz=16000, **about)
    export_onnx(student, folder / ONNX_FILE, LABELS, window_s=0.5, about=about)
    return folder


def test_the_posterior_is_the_mean_over_windows():
    """Windows of 4 with a step of 3 over 9 samples begin at 0, 3 and 5; the student returns the first sample."""
    engine = Engine("none", ("a",), 4.0, 1.0, predict=lambda x: x[:, :1], sample_rate_hz=1)
    assert engine.posterior(np.arange(9, dtype=np.float32)).tolist() == [(0 + 3 + 5) / 3]
    assert engine.posterior(np.arange(2, 4, dtype=np.float32)).tolist() == [2.0]


def test_auto_prefers_the_exported_file(folder, tmp_path):
    assert open_engine(folder).backend == open_engine(folder / ONNX_FILE).backend == "onnx"
    for name in ("student.json", "student.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert open_engine(tmp_path).backend == "torch"


@pytest.mark.parametrize(
    "file, backend, error, key",
    [
        ("nothing", "auto", FileNotFoundError, "nothing"),
        ("", "onnx", FileNotFoundError, r"student\.onnx"),
        ("", "auto", FileNotFoundError, r"student\.json"),
        ("", "tflite", ValueError, "tflite"),
        ("student.onnx", "torch", ValueError, "PyTorch"),
    ],
)
def test_what_cannot_be_opened_is_refused(folder, tmp_path, file, backend, error, key):
    place = folder / file if file.endswith("onnx") else tmp_path / file
    with pytest.raises(error, match=key):
        open_engine(place, backend)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_an_engine_is_its_student_and_a_padded_batch_gives_the_results_of_its_waveforms_alone(folder, backend):
    engine = open_engine(folder, backend)
    assert (engine.backend, engine.label_order, engine.window_s, engine.overlap_s) == (backend, LABELS, 0.5, 0.25)
    batch = 0.1 * np.random.default_rng(0).standard_normal((3, 16000))
    together = engine(batch, [1.0, 0.5, 0.1])
    assert together.shape == (3, 3) and together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1.0, rtol=1e-5)
    alone = [engine(batch[row : row + 1, :count])[0] for row, count in enumerate((16000, 8000, 1600))]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="finite"):
        engine(np.full((1, 8000), np.nan))


@pytest.mark.parametrize(
    ("lengths", "error", "key"),
    [
        ([1.0], ValueError, r"\[2\]"),
        (0.5, ValueError, r"got \[\]"),
        ([1.0, 0.09], ValueError, r"lengths\[1\] is 0.09"),
        ([16000, 8000], ValueError, r"lengths\[0\] is 16000"),
        ([float("nan"), 1.0], ValueError, r"lengths\[0\] is nan"),
        (["all", "half"], TypeError, "lengths"),
    ],
)
def test_wrong_lengths_are_refused(folder, lengths, error, key):
    with pytest.raises(error, match=key):
        open_engine(folder)(np.zeros((2, 16000)), lengths)


def test_a_file_without_lengths_still_opens(folder, tmp_path):
    onnx.save(without_lengths(onnx.load(folder / ONNX_FILE)), tmp_path / "old.onnx")
    engine = open_engine(tmp_path / "old.onnx")
    assert engine(np.zeros((2, 16000))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"old\.onnx.* lengths"):
        engine(np.zeros((2, 16000)), [1.0, 0.5])
