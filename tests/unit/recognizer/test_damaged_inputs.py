"""A short run of tools/damaged_inputs.py; the tool itself asks 2 000 times."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools/damaged_inputs.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("damaged_inputs", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_hundred_damaged_inputs_are_answered_or_refused(tool, student_folder, capsys):
    code = tool.main(["--model", str(student_folder), "--count", "208"])
    out = capsys.readouterr().out
    assert code == 0, out
    total = next(line for line in out.splitlines() if line.startswith("all ")).split()
    answered, refused, violations = map(int, total[1:])
    assert answered > 40 and refused > 80 and violations == 0 and answered + refused == 208


def test_what_must_not_happen_is_noticed(tool):
    with pytest.raises(tool.Violation, match="KeyError"):
        tool.sentence(KeyError("a.wav"), "a.wav")
    with pytest.raises(tool.Violation, match="no sentence that names it"):
        tool.sentence(ValueError("something is wrong somewhere"), "a.wav")
    assert tool.sentence(ValueError("a.wav is truncated; get it again."), "a.wav") == "refused"
    for values in ([float("nan"), 1.0], [0.7, 0.7], [1.5, -0.5], [1.0]):
        with pytest.raises(tool.Violation):
            tool.checked("calm", values, ("calm", "angry"))
    assert tool.checked("calm", [0.75, 0.25], ("calm", "angry")) == "answered"
