"""A short run of tools/streaming_check.py; the tool itself takes an hour of speech."""

import importlib.util
from pathlib import Path

import pytest

from akd_toolkit.inference import Moment

TOOL = Path(__file__).parents[3] / "tools/streaming_check.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("streaming_check", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_minute_of_speech_keeps_the_promises(tool, student_folder, speech, tmp_path, capsys):
    speech(7.3), speech(4.4, rate=8000, name="b.flac", seed=1)
    words = ["--model", str(student_folder), "--data_folder", str(tmp_path), "--hours", "0.0167", "--speed", "1"]
    code = tool.main(words)
    out = capsys.readouterr().out
    assert code == 0 and "60 s in" in out and "samples: 61 moments" in out
    assert "moments that differ from those of one push: 0\n" in out and "FAILED" not in out


def test_what_breaks_a_promise_is_told(tool, capsys):
    whole = [Moment(0.0, 1.0, False), Moment(1.0, 2.0, True, "joy", {"joy": 1.0}, {"joy": 1.0})]
    marks = list(map(tool.mark, whole))
    kept = {"marks": marks, "seconds": 0.5, "tenths_s": [0.2, 0.3], "pushes": 2, "memory_mb": [10.0, 10.0, 11.0]}
    assert tool.told(kept, whole, 1.0, length_s=300.0, speed=500) == []
    broken = {**kept, "marks": [marks[0], marks[0], 3], "seconds": 1.0, "memory_mb": [10.0, 12.0, 15.0]}
    failures = tool.told(broken, whole, 1.0, length_s=300.0, speed=500)
    assert [failure.split(" ")[0] for failure in failures] == ["2", "memory", "300"]
    out = capsys.readouterr().out
    assert "moments that differ from those of one push: 2" in out
    assert "slowest tenth of the stream 500 times, fastest 750" in out  # 150 s in 0.3 s and in 0.2 s


def test_a_bit_of_a_probability_changes_the_mark(tool):
    one, other = ({"joy": value} for value in (0.1, 0.1 + 2**-56))
    assert one != other
    assert tool.mark(Moment(0.0, 1.0, True, "joy", one, one)) != tool.mark(Moment(0.0, 1.0, True, "joy", one, other))
