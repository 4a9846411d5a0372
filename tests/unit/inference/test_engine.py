"""A student on PyTorch and on ONNX Runtime behind the same call."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from akd_toolkit.data.voice import VoiceSettings, random_sentence, speak
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.inference.engine import ONNX_FILE, Engine, open_engine
from akd_toolkit.inference.padding import without_lengths
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


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_an_engine_knows_what_the_student_was_scored_with(folder, backend):
    engine = open_engine(folder, backend)
    assert (engine.backend, engine.label_order, engine.window_s, engine.overlap_s) == (backend, LABELS, 0.5, 0.25)
    assert engine.sample_rate_hz == 16000
    answers = engine(0.1 * np.random.default_rng(0).standard_normal((2, 5000)))
    assert answers.shape == (2, 3)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, rtol=1e-5)


def test_both_backends_answer_alike(folder):
    waveform = (0.1 * np.random.default_rng(0).standard_normal(20000)).astype(np.float32)
    by_torch, by_onnx = (open_engine(folder, backend).posterior(waveform) for backend in ("torch", "onnx"))
    np.testing.assert_allclose(by_torch, by_onnx, rtol=0, atol=1e-5)


def test_the_posterior_is_the_mean_over_windows_that_end_with_the_sound():
    """Windows of 4 with a step of 3 over 9 samples begin at 0, 3 and 5; each answers with its first sample."""
    engine = Engine("none", ("a",), 4.0, 1.0, answer=lambda x: x[:, :1], sample_rate_hz=1)
    assert engine.posterior(np.arange(9, dtype=np.float32)).tolist() == [(0 + 3 + 5) / 3]
    assert engine.posterior(np.arange(2, 4, dtype=np.float32)).tolist() == [2.0]


def test_auto_takes_the_exported_file_where_there_is_one(folder, tmp_path):
    assert open_engine(folder).backend == "onnx"
    assert open_engine(folder / ONNX_FILE).backend == "onnx"
    for name in ("student.json", "student.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert open_engine(tmp_path).backend == "torch"


def test_what_cannot_be_opened_is_refused_by_name(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        open_engine(tmp_path / "nothing_here")
    with pytest.raises(FileNotFoundError, match=r"student\.onnx"):
        open_engine(tmp_path, "onnx")
    with pytest.raises(FileNotFoundError, match=r"student\.json"):
        open_engine(tmp_path)
    with pytest.raises(ValueError, match="auto, torch, onnx"):
        open_engine(folder, "tflite")
    with pytest.raises(ValueError, match="PyTorch does not run"):
        open_engine(folder / ONNX_FILE, "torch")


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_padded_batch_is_answered_as_its_waveforms_alone(folder, backend):
    engine = open_engine(folder, backend)
    batch = (0.1 * np.random.default_rng(0).standard_normal((3, 16000))).astype(np.float32)
    together = engine(batch, [1.0, 0.5, 0.1])
    alone = [engine(batch[row : row + 1, :count])[0] for row, count in enumerate((16000, 8000, 1600))]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("lengths", "error", "told"),
    [
        ([1.0], ValueError, r"lengths must be \[batch\] = \[2\]"),
        (0.5, ValueError, r"one share for each waveform, got \[\]"),
        ([1.0, 0.0], ValueError, r"lengths\[1\] is 0"),
        ([1.0, 0.09], ValueError, r"at least 1600 samples"),
        ([16000, 8000], ValueError, r"lengths\[0\] is 16000; give the share"),
        ([float("nan"), 1.0], ValueError, r"lengths\[0\] is nan"),
        (["all", "half"], TypeError, "lengths must be numbers"),
    ],
)
def test_wrong_lengths_are_refused(folder, lengths, error, told):
    with pytest.raises(error, match=told):
        open_engine(folder)(np.zeros((2, 16000)), lengths)


def test_a_file_that_takes_no_lengths_still_opens_and_says_what_to_do(folder, tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save(without_lengths(onnx.load(folder / ONNX_FILE)), tmp_path / "old.onnx")
    engine = open_engine(tmp_path / "old.onnx")
    assert engine(np.zeros((2, 16000))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"old\.onnx has no input lengths; export the student again with akd export"):
        engine(np.zeros((2, 16000)), [1.0, 0.5])


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_an_answer_without_numbers_is_refused(folder, backend):
    with pytest.raises(ValueError, match="no numbers"):
        open_engine(folder, backend)(np.full((1, 8000), np.nan))


def test_an_exported_file_answers_without_pytorch(folder, tmp_path):
    """In a process of its own, whose memory and start a device would feel."""
    wav = tmp_path / "a.wav"
    random = np.random.default_rng(0)
    soundfile.write(wav, speak(random_sentence(random), VoiceSettings(), random), 16000)
    code = (
        "import sys; from akd_toolkit.inference import EmotionRecognizer; "
        f"print(EmotionRecognizer.from_pretrained({str(folder / ONNX_FILE)!r}, activity='off')({str(wav)!r}).label); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in LABELS
