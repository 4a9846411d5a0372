"""A short run of tools/damaged_inputs.py; the tool itself asks 2 000 times."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.inference import EmotionRecognizer

TOOL = Path(__file__).parents[3] / "tools/damaged_inputs.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("damaged_inputs", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recognizer(student_folder):
    return EmotionRecognizer.from_pretrained(student_folder)


def test_two_hundred_damaged_inputs_are_answered_or_refused(tool, student_folder, capsys):
    code = tool.main(["--model", str(student_folder), "--count", "208"])
    out = capsys.readouterr().out
    assert code == 0, out
    total = next(line for line in out.splitlines() if line.startswith("all ")).split()
    answered, refused, half, violations = map(int, total[1:])
    assert answered > 40 and refused > 80 and half == violations == 0 and answered + refused == 208


def test_an_answer_by_half_is_noticed(tool, recognizer, tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    for suffix in tool.FORMATS:
        half, whole = tool.encoded(samples[:16000], suffix=suffix), tool.encoded(samples, suffix=suffix)
        assert tool.ask(recognizer, whole, tmp_path / f"a{suffix}") == "answered"
        assert tool.ask(recognizer, whole.damaged(half.data), tmp_path / f"b{suffix}") == "HALF"


def test_what_must_not_happen_is_noticed(tool):
    with pytest.raises(tool.Violation, match="KeyError"):
        tool.sentence(KeyError("a.wav"), "a.wav")
    with pytest.raises(tool.Violation, match="no sentence that names it"):
        tool.sentence(ValueError("something is wrong somewhere"), "a.wav")
    assert tool.sentence(ValueError("a.wav is truncated; get it again."), "a.wav") == "refused"
    for values in ([float("nan"), 1.0], [0.7, 0.7], [1.5, -0.5], [1.0]):
        with pytest.raises(tool.Violation):
            tool.checked("calm", values, ("calm", "angry"))
        with pytest.raises(tool.Violation):
            tool.checked("no speech", values, ("calm", "angry"))
    assert tool.checked("calm", [0.75, 0.25], ("calm", "angry")) == "answered"
    assert tool.checked("no speech", [], ("calm", "angry")) == "answered"
