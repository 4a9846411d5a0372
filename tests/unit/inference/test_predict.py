"""``akd predict``: an answer a line for every file that has one, and a list of those that have none."""

import csv
import io
import json
import re
import shutil
import sys
from functools import partial

import numpy as np
import onnx
import pytest
import soundfile
from programs import run_python

from akd_toolkit.cli import main
from akd_toolkit.cli import predict as predicting
from akd_toolkit.deploy.export import export_onnx
from akd_toolkit.inference import EmotionRecognizer
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


def test_every_file_is_a_line_and_what_failed_is_listed_at_the_end(predict, folder, student_folder):
    code, lines, err = predict(folder)
    assert code == 1 and len(lines) == 3
    recognizer = EmotionRecognizer.from_pretrained(student_folder)
    for line, name, seconds in zip(lines, ("a.wav", "b.flac", "deeper/a.wav"), ("1.20", "0.60", "2.50")):
        answer = recognizer(folder / name)
        decision = [answer.label, f"{answer.probability:.0%}"]
        spoken = [f"{answer.speech_s:.2f}", "s", "speech"]
        assert line.split() == [str(folder / name), *decision, seconds, "s", *spoken]
    assert "1 could not be recognised, 3 could:\n" in err
    assert re.search(r"  \S+words\.wav cannot be read as audio", err)
    assert "._a.wav" not in err and "Traceback" not in err


def test_json_is_an_object_a_line(predict, folder, student_folder):
    code, lines, _ = predict(folder / "a.wav", folder / "b.flac", "--json")
    told = [json.loads(line) for line in lines]
    answer = EmotionRecognizer.from_pretrained(student_folder)(folder / "a.wav")
    assert code == 0 and [entry["file"] for entry in told] == [str(folder / "a.wav"), str(folder / "b.flac")]
    assert told[0] == {
        "file": str(folder / "a.wav"),
        "label": answer.label,
        "probabilities": answer.probabilities,
        "duration_s": 1.2,
        "speech": True,
        "speech_s": answer.speech_s,
        "activity": "silero",
    }
    _, lines, _ = predict(folder / "a.wav", "--json", "--timeline")
    assert json.loads(lines[0])["timeline"] == answer.as_dict()["timeline"] != []


def test_csv_is_a_row_a_file_or_a_row_a_span(predict, folder, student_folder):
    comma = shutil.copy(folder / "a.wav", folder / 'one, "two".wav')
    code, lines, _ = predict(comma, folder / "b.flac", "--csv")
    rows = list(csv.DictReader(lines))
    assert code == 0 and list(rows[0])[:3] == ["file", "label", "duration_s"] and rows[0]["file"] == str(comma)
    answer = EmotionRecognizer.from_pretrained(student_folder)(comma)
    assert [float(rows[0][f"p_{label}"]) for label in answer.probabilities] == list(answer.probabilities.values())
    _, lines, _ = predict(folder / "deeper/a.wav", "--csv", "--timeline")
    spans = EmotionRecognizer.from_pretrained(student_folder)(folder / "deeper/a.wav").timeline
    assert lines[0] == "file,start_s,end_s,label,probability,speech" and len(lines) == 1 + len(spans) > 1
    assert lines[1].split(",")[1:4] == [str(spans[0].start_s), str(spans[0].end_s), spans[0].label]


def test_no_speech_has_its_own_field_and_no_probabilities(predict, folder):
    soundfile.write(folder / "zeros.wav", np.zeros(48000), 16000)
    shutil.copy(folder / "deeper/a.wav", folder / "z.wav")  # in whose columns the silence stands as well
    words = (folder / "zeros.wav", folder / "z.wav")
    code, lines, err = predict(*words, "--timeline")
    assert code == 0 and not err and lines[0].split()[1:] == ["no", "speech", "3.00", "s", "0.00", "s", "speech"]
    assert lines[1].split() == ["0.00", "-", "3.00", "s", "no", "speech"] and lines[0].index("3.00") == lines[2].index(
        "2.50"
    )
    silence = {"label": "no speech", "speech": False}
    _, lines, _ = predict(*words, "--json", "--timeline")
    span = {"start_s": 0.0, "end_s": 3.0, "probability": None, **silence}
    told = {
        "probabilities": {},
        "duration_s": 3.0,
        "speech_s": 0.0,
        "activity": "silero",
        **silence,
        "timeline": [span],
    }
    assert json.loads(lines[0]) == {"file": str(folder / "zeros.wav"), **told}
    _, lines, _ = predict(*words, "--csv")
    zeros, z = csv.DictReader(lines)
    assert zeros.keys() == z.keys() and (zeros["label"], zeros["speech"]) == ("no speech", "False")
    assert {zeros[name] for name in zeros if name.startswith("p_")} == {""} and z["speech"] == "True"
    _, lines, _ = predict(*words, "--csv", "--timeline")
    assert lines[1].split(",")[1:] == ["0.0", "3.0", "no speech", "", "False"]


def test_who_knows_better_can_turn_the_detector_off(predict, folder):
    soundfile.write(folder / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 48000), 16000)
    found = {}
    for activity in ("silero", "off"):
        code, lines, _ = predict(folder / "noise.wav", "--json", "--activity", activity)
        found[activity] = json.loads(lines[0])
        assert code == 0 and found[activity]["activity"] == activity
    assert (found["silero"]["speech_s"], found["off"]["speech_s"]) == (0.0, 3.0)


def test_sound_files_of_a_folder_that_are_not_read_are_counted_and_named(predict, folder, caplog):
    (folder / "deeper" / "talk.sph").write_bytes(bytes(100))
    predict(folder)
    assert "1 sound files are not read (deeper/talk.sph)" in caplog.text


def test_side_by_side_says_the_same_in_the_same_order(predict, folder):
    alone, together = predict(folder, "--json", "--timeline"), predict(folder, "--json", "--timeline", "--jobs", 3)
    assert together[:2] == alone[:2]


@pytest.mark.parametrize("words", [[], ["--jobs", "2"]])
def test_no_bar_is_drawn_into_a_file(predict, folder, words, monkeypatch):
    _, lines, err = predict(folder, *words)
    assert len(lines) == 3 and "file/s" not in err and len(err.splitlines()) == 2  # those of what failed
    monkeypatch.setattr(predicting, "LOG_S", 0)
    _, _, err = predict(folder, *words)
    assert err.splitlines()[:4] == [f"{done} of 4 files" for done in (1, 2, 3, 4)] and len(err.splitlines()) == 6
    _, _, err = predict(folder / "a.wav")
    assert err.splitlines() == ["1 s processed", "1 s processed", "1 of 1 files"]


def test_on_a_terminal_there_is_a_bar(predict, folder, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, lines, err = predict(folder)
    assert len(lines) == 3 and "0/4" in err


def test_a_graph_that_fails_when_it_runs_ends_no_list(predict, folder, tmp_path):
    file = tmp_path / "student.onnx"
    shape = onnx.helper.make_node("Constant", [], ["shape"], value_ints=[1, 16000])  # and no other length
    nodes = [shape, onnx.helper.make_node("Reshape", ["waveform", "shape"], ["x"])]
    nodes.append(onnx.helper.make_node("Constant", [], ["axes"], value_ints=[1]))
    nodes.append(onnx.helper.make_node("ReduceMax", ["x", "axes"], ["probabilities"]))
    floats = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT)
    graph = onnx.helper.make_graph(
        nodes, "g", [floats("waveform", shape=["b", "n"])], [floats("probabilities", shape=["b", 1])]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    told = {"label_order": '["calm"]', "sample_rate_hz": "16000", "window_s": "1.0"}
    onnx.helper.set_model_props(model, told)
    file.write_bytes(model.SerializeToString())
    code, lines, err = predict(folder / "b.flac", folder / "a.wav", "--csv", model=file)
    assert code == 1 and [line.split(",")[1] for line in lines] == ["label", "calm"]  # a.wav has windows of 1 s
    assert "1 could not be recognised, 1 could:" in err and re.search(
        r"  \S+b\.flac: \S+student\.onnx is not an ONNX file that", err
    )


def test_the_timeline_follows_its_file(predict, folder):
    _, lines, _ = predict(folder / "deeper/a.wav", "--timeline")
    assert len(lines) >= 2 and re.fullmatch(r"  +0\.00 - +\d\.\d\d s  \w+ +\d+%", lines[1])


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
        ([], 1, "error: give --model: the folder of a finished run, an exported .onnx file, or owner/name on the hub."),
        (["--model", "/no/such"], 1, "error: /no/such does not exist"),
        (["--model", "/no/such", "--jobs", "0"], 2, "'--jobs': 0 is not in the range"),
        (["--model", "/no/such", "--json", "--csv"], 2, "--json and --csv"),
    ],
)
def test_what_is_missing_is_said(predict, words, code, message):
    found, lines, err = predict("a.wav", *words, model=None)
    assert found == code and not lines and message in err and err.count("\n") == 1


def test_the_backend_can_be_chosen(predict, folder, student_folder):
    code, _, err = predict(folder / "a.wav", "--backend", "onnx")
    assert code == 1 and "holds no student.onnx; export the student first" in err
    assert predict(folder / "a.wav", "--backend", "torch")[0] == 0


def test_an_exported_student_answers_without_what_is_slow_to_import(student_folder, speech, tmp_path):
    student, about = load_student(student_folder)
    export_onnx(student, tmp_path / "student.onnx", about["label_order"], window_s=about["window_s"])
    slow = ("torch", "pandas", "speechbrain", "tqdm", "huggingface_hub", "akd_toolkit.deploy", "rich", "pydantic")
    code = (
        "import sys; from akd_toolkit.cli import main; code = main(sys.argv[1:]); "
        f"print(code, [name for name in {slow} if name in sys.modules])"
    )
    words = ["predict", str(speech(1.2)), "--model", str(tmp_path / "student.onnx")]
    assert run_python("-c", code, *words, cwd=tmp_path).stdout.splitlines()[-1] == "0 []"
