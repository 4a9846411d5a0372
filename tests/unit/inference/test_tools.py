"""Short runs of the tools that check recognition at length."""

import importlib
from pathlib import Path

import pytest

from akd_toolkit.inference import Moment


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "tools")
    return importlib.import_module


def test_streaming_check_passes_and_finds_faults(tool, student_folder, speech, tmp_path, capsys):
    check = tool("streaming_check")
    speech(7.3), speech(4.4, rate=8000, name="b.flac", seed=1)
    words = ["--model", str(student_folder), "--data_folder", str(tmp_path), "--hours", "0.0167", "--speed", "1"]
    assert check.main(words) == 0
    assert "differ from those of one push: 0\n" in capsys.readouterr().out
    whole = [Moment(0.0, 1.0, False), Moment(1.0, 2.0, True, "joy", {"joy": 1.0}, {"joy": 1.0})]
    first = check.mark(whole[0])
    broken = {"marks": [first, first, 3], "seconds": 1.0, "tenths_s": [0.2, 0.3], "pushes": 2}
    failures = check.failed_checks({**broken, "memory_mb": [10.0, 12.0, 15.0]}, whole, 1.0, length_s=300.0, speed=500)
    assert [failure.split(" ")[0] for failure in failures] == ["2", "memory", "300"]


def test_speech_check_counts_errors(tool, student_folder, speech, tmp_path, capsys, monkeypatch):
    check = tool("speech_check")
    for name, value in {"NOISE_S": 1, "SEEDS": 1, "SPEED_S": 3, "MINUTE": 6 * 16000, "LEVELS_DB": (-26,)}.items():
        monkeypatch.setattr(check, name, value)
    speech(2.2), speech(1.5, name="b.flac", seed=1)
    assert check.main(["--corpora", f"Voices={tmp_path}", "--model", str(student_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| Voices | silero | 2 | 0 | 0 | 0 |" in lines and "| white | 1 | 0 | 1 |" in lines


def test_damaged_inputs_are_recognised_or_refused(tool, student_folder, capsys):
    code = tool("damaged_inputs").main(["--model", str(student_folder), "--count", "104"])
    out = capsys.readouterr().out
    total = next(line for line in out.splitlines() if line.startswith("all ")).split()
    recognised, refused, half, violations = map(int, total[1:])
    assert code == half == violations == 0 and recognised > 20 and refused > 40, out
