"""``akd predict``: one line per file, and a list of failures."""

import csv
import io
import json
import re
import shutil
import sys

import numpy as np
import pytest
import soundfile
from programs import run_python

from akd_toolkit.cli import main
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.inference import EmotionRecognizer, hub
from akd_toolkit.mistakes import TRAIN
from akd_toolkit.models.storage import load_student


@pytest.fixture
def folder(tmp_path, speech):
    """Three recordings, one in a folder of its own, beside one that is none and one that is not looked at."""
    speech(1.2, name="a.wav"), speech(0.6, name="b.flac", seed=1)
    (tmp_path / "deeper").mkdir()
    speech(2.5, rate=8000, name="deeper/a.wav", seed=2)
    (tmp_path / "deeper/words.wav").write_text("these are words")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "._a.wav").write_text("of a file system")
    return tmp_path


@pytest.fixture
def predict(student_folder, capfd):
    """``predict(*words)`` gives exit code, lines on stdout and text on stderr."""

    def call(*words, model=student_folder):
        code = main(["predict", *map(str, words), *(["--model", str(model)] if model else [])])
        out, err = capfd.readouterr()
        return code, out.splitlines(), err

    return call


def test_every_file_is_a_line_and_failures_come_at_the_end(predict, folder, student_folder):
    code, lines, err = predict(folder)
    assert code == 1 and len(lines) == 3
    recognizer = EmotionRecognizer.from_pretrained(student_folder)
    for line, name, seconds in zip(lines, ("a.wav", "b.flac", "deeper/a.wav"), ("1.20", "0.60", "2.50")):
        result = recognizer(folder / name)
        assert line.split()[:4] == [str(folder / name), result.label, f"{result.probability:.0%}", seconds]
    assert re.search(r"  \S+words\.wav cannot be read as audio", err)
    assert "._a.wav" not in err and "Traceback" not in err


def test_json_and_csv_hold_the_result(predict, folder, student_folder):
    file = shutil.copy(folder / "deeper/a.wav", folder / 'one, "two".wav')
    result = EmotionRecognizer.from_pretrained(student_folder)(file)
    expected = {"file": str(file), **result.as_dict()}
    code, lines, _ = predict(file, folder / "a.wav", "--json", "--timeline")
    assert code == 0 and len(lines) == 2 and json.loads(lines[0]) == json.loads(json.dumps(expected))
    del expected["timeline"]
    assert json.loads(predict(file, "--json")[1][0]) == expected
    rows = list(csv.DictReader(predict(file, folder / "a.wav", "--csv")[1]))
    assert list(rows[0])[:3] == ["file", "label", "duration_s"] and rows[0]["file"] == str(file)
    assert [float(rows[0][f"p_{label}"]) for label in result.probabilities] == list(result.probabilities.values())
    _, lines, _ = predict(folder / "deeper/a.wav", "--csv", "--timeline")
    span = result.timeline[0]
    assert lines[0] == "file,start_s,end_s,label,probability,speech" and len(lines) == 1 + len(result.timeline)
    assert lines[1].split(",")[1:4] == [str(span.start_s), str(span.end_s), span.label]


def test_no_speech_has_its_own_field_and_no_probabilities(predict, folder):
    file = folder / "zeros.wav"
    soundfile.write(file, np.zeros(48000), 16000)
    code, lines, err = predict(file, "--timeline")
    assert code == 0 and not err and lines[0].split()[1:] == ["no", "speech", "3.00", "s", "0.00", "s", "speech"]
    assert lines[1].split() == ["0.00", "-", "3.00", "s", "no", "speech"]
    found = json.loads(predict(file, "--json")[1][0])
    assert (found["label"], found["speech"], found["probabilities"], found["speech_s"]) == ("no speech", False, {}, 0.0)
    (row,) = csv.DictReader(predict(file, "--csv")[1])
    assert row["label"] == "no speech" and {row[name] for name in row if name.startswith("p_")} == {""}
    assert predict(file, "--csv", "--timeline")[1][1].split(",")[1:] == ["0.0", "3.0", "no speech", "", "False"]
    assert json.loads(predict(file, "--json", "--activity", "off")[1][0])["speech_s"] == 3.0


def test_side_by_side_says_the_same_in_the_same_order(predict, folder):
    alone, together = predict(folder, "--json", "--timeline"), predict(folder, "--json", "--timeline", "--jobs", 3)
    assert together[:2] == alone[:2]


def test_a_sound_is_read_from_standard_input(predict, folder, monkeypatch):
    whole = (folder / "a.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(whole)))
    code, lines, _ = predict("-")
    _, named, _ = predict(folder / "a.wav")
    assert code == 0 and lines[0].split()[:2] == ["standard", "input"] and lines[0].split()[2:] == named[0].split()[1:]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, lines, err = predict("-")
    assert code == 1 and "standard input is empty (0 bytes)" in err


def test_a_folder_without_sounds_is_a_failure_and_the_rest_is_done(predict, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    code, lines, err = predict(tmp_path / "empty", folder / "a.wav", tmp_path / "gone.wav")
    assert code == 1 and len(lines) == 1
    assert "empty holds no sound file" in err and "gone.wav is not a file; check the path." in err
    assert "2 could not be recognised, 1 could" in err


def test_ctrl_c_leaves_what_was_printed(predict, folder, monkeypatch):
    recognize = EmotionRecognizer.recognize

    def stopped(self, x, *args, **options):
        if "deeper" in x:
            raise KeyboardInterrupt
        return recognize(self, x, *args, **options)

    monkeypatch.setattr(EmotionRecognizer, "recognize", stopped)
    code, lines, err = predict(folder)
    assert code == 130 and len(lines) == 2 and "stopped after 2 of 4 files." in err


@pytest.mark.parametrize(
    "words, code, message",
    [
        ([], 1, "contains no trained student; give source (--model): the folder of a finished run or of a bundle, an"),
        (["--model", "/no/such"], 1, "error: /no/such does not exist"),
        (["--model", "/no/such", "--jobs", "0"], 2, "'--jobs': 0 is not in the range"),
        (["--model", "/no/such", "--json", "--csv"], 2, "--json and --csv"),
    ],
)
def test_what_is_missing_is_said(predict, words, code, message, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "PRETRAINED", tmp_path)
    found, lines, err = predict("a.wav", *words, model=None)
    assert found == code and not lines and message in err and err.count("\n") == 1


def test_an_exported_student_predicts_without_slow_imports(student_folder, speech, tmp_path):
    student, about = load_student(student_folder)
    export_onnx(student, tmp_path / "student.onnx", about["label_order"], window_s=about["window_s"])
    slow = [*TRAIN, "tqdm", "huggingface_hub", "akd_toolkit.deploy", "rich"]
    code = (
        "import sys; from akd_toolkit.cli import main; code = main(sys.argv[1:]); "
        f"print(code, [name for name in {slow} if name in sys.modules])"
    )
    words = ["predict", str(speech(1.2)), "--model", str(tmp_path / "student.onnx")]
    assert run_python("-c", code, *words, cwd=tmp_path).stdout.splitlines()[-1] == "0 []"
