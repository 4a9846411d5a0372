"""Short runs of the tools that check recognition at length."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.inference import EmotionRecognizer, Moment


@pytest.fixture
def tool():
    def load(name):
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[3] / f"tools/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_streaming_check_passes_and_finds_faults(tool, student_folder, speech, tmp_path, capsys):
    check = tool("streaming_check")
    speech(7.3), speech(4.4, rate=8000, name="b.flac", seed=1)
    words = ["--model", str(student_folder), "--data_folder", str(tmp_path), "--hours", "0.0167", "--speed", "1"]
    assert check.main(words) == 0
    out = capsys.readouterr().out
    assert "samples: 61 moments" in out and "differ from those of one push: 0\n" in out and "FAILED" not in out

    whole = [Moment(0.0, 1.0, False), Moment(1.0, 2.0, True, "joy", {"joy": 1.0}, {"joy": 1.0})]
    marks = list(map(check.mark, whole))
    kept = {"marks": marks, "seconds": 0.5, "tenths_s": [0.2, 0.3], "pushes": 2, "memory_mb": [10.0, 10.0, 11.0]}
    assert check.told(kept, whole, 1.0, length_s=300.0, speed=500) == []
    broken = {**kept, "marks": [marks[0], marks[0], 3], "seconds": 1.0, "memory_mb": [10.0, 12.0, 15.0]}
    failures = check.told(broken, whole, 1.0, length_s=300.0, speed=500)
    assert [failure.split(" ")[0] for failure in failures] == ["2", "memory", "300"]
    one, other = ({"joy": value} for value in (0.1, 0.1 + 2**-56))  # one bit
    assert check.mark(Moment(0.0, 1.0, True, "joy", one, one)) != check.mark(Moment(0.0, 1.0, True, "joy", one, other))


def test_speech_check_counts_errors(tool, student_folder, speech, tmp_path, capsys, monkeypatch):
    check = tool("speech_check")
    for name, value in {"NOISE_S": 1, "SEEDS": 1, "SPEED_S": 3, "MINUTE": 6 * 16000, "LEVELS_DB": (-26,)}.items():
        monkeypatch.setattr(check, name, value)
    speech(2.2), speech(1.5, name="b.flac", seed=1)
    assert check.main(["--corpora", f"Voices={tmp_path}", "--model", str(student_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| Voices | silero | 2 | 0 | 0 | 0 |" in lines and "| Voices | energy | 2 | 0 | 0 | 0 |" in lines
    assert "| digital zeros | 1 | 0 | 0 |" in lines and "| white | 1 | 0 | 1 |" in lines


def test_damaged_inputs_passes_and_finds_faults(tool, student_folder, tmp_path, capsys):
    check = tool("damaged_inputs")
    code = check.main(["--model", str(student_folder), "--count", "208"])
    out = capsys.readouterr().out
    assert code == 0, out
    total = next(line for line in out.splitlines() if line.startswith("all ")).split()
    answered, refused, half, violations = map(int, total[1:])
    assert answered > 40 and refused > 80 and half == violations == 0 and answered + refused == 208

    recognizer = EmotionRecognizer.from_pretrained(student_folder)
    samples = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    for suffix in check.FORMATS:
        half, whole = check.encoded(samples[:16000], suffix=suffix), check.encoded(samples, suffix=suffix)
        assert check.ask(recognizer, whole, tmp_path / f"a{suffix}") == "answered"
        assert check.ask(recognizer, whole.damaged(half.data), tmp_path / f"b{suffix}") == "HALF"
    for error in (KeyError("a.wav"), ValueError("something is wrong somewhere")):
        with pytest.raises(check.Violation):
            check.sentence(error, "a.wav")
    for values in ([float("nan"), 1.0], [0.7, 0.7], [1.0]):
        with pytest.raises(check.Violation):
            check.checked("calm", values, ("calm", "angry"))
