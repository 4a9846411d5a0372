"""A short run of tools/speech_check.py; the tool itself takes thousands of recordings."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools/speech_check.py"


@pytest.fixture
def tool(monkeypatch):
    spec = importlib.util.spec_from_file_location("speech_check", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"NOISE_S": 1, "SEEDS": 1, "SPEED_S": 3, "MINUTE": 6 * 16000, "LEVELS_DB": (-26,)}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_speech_is_counted_noise_is_not_and_an_utterance_keeps_its_label(
    tool, student_folder, speech, tmp_path, capsys
):
    speech(2.2), speech(1.5, name="b.flac", seed=1)
    assert tool.main(["--corpora", f"Voices={tmp_path}", "--model", str(student_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| Voices | silero | 2 | 0 | 0 | 0 |" in lines and "| Voices | energy | 2 | 0 | 0 | 0 |" in lines
    assert "| digital zeros | 1 | 0 | 0 |" in lines and "| white | 1 | 0 | 1 |" in lines
    assert any(line.startswith("| digital zeros | silero | 6 |") for line in lines)
    assert sum("processor time for a second of sound" in line for line in lines) == 1
