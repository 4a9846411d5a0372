"""A trained student on disk: weights and plain data, and nothing that runs."""

import json

import pytest
import torch

from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.models.storage import load_student, save_student
from akd_toolkit.registry import STUDENTS

LABELS = ["anger", "joy", "sadness", "neutral"]


@pytest.mark.parametrize("name", STUDENTS.names())
def test_a_saved_student_predicts_as_before(name, tmp_path):
    student = STUDENTS.example(name, num_classes=4).eval()
    spec = {"name": name, **STUDENTS.get(name).example_options}
    save_student(tmp_path, student, spec, LABELS, window_s=3.0)
    loaded, about = load_student(tmp_path)
    waveform = 0.1 * torch.randn(2, 4000)
    torch.testing.assert_close(loaded(waveform).logits, student(waveform).logits)
    assert about["label_order"] == LABELS and about["window_s"] == 3.0 and not loaded.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student.json", "student.safetensors"]


def test_an_unfinished_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"student\.safetensors is missing; give the folder of a finished run"):
        load_student(tmp_path)


@pytest.fixture
def saved(tmp_path):
    name = "micro_cnn"
    spec = {"name": name, **STUDENTS.get(name).example_options}
    save_student(tmp_path, STUDENTS.example(name, num_classes=4), spec, LABELS)
    return tmp_path


@pytest.mark.parametrize(
    "change, message",
    [
        ({"student": {"name": "micro_cnn", "dim": 8}}, "holds no readable student"),
        ({"label_order": LABELS[:3]}, "holds no readable student"),
        ({"student": {"name": "os.system"}}, r"unknown student 'os\.system'"),
    ],
)
def test_weights_that_do_not_fit_and_unknown_students_are_refused(saved, change, message):
    about = json.loads((saved / "student.json").read_text())
    (saved / "student.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(ValueError, match=message):
        load_student(saved)


@pytest.mark.parametrize("content", [b"\x80\x04damaged", b""])
@pytest.mark.parametrize("file", ["student.json", "student.safetensors"])
def test_a_damaged_file_is_refused_with_the_folder_to_delete(saved, file, content):
    (saved / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"delete {saved}"):
        load_student(saved)


@pytest.mark.parametrize("version", [None, LogMel.version + 1])
def test_a_student_of_other_log_mels_is_refused(saved, version):
    about = json.loads((saved / "student.json").read_text())
    assert about.pop("log_mel_version") == LogMel.version
    if version is not None:
        about["log_mel_version"] = version
    (saved / "student.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="log-mels of version"):
        load_student(saved)
