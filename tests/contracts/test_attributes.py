"""Every student can predict dimensional labels beside the emotion, whoever wrote it."""

import copy

import pytest
import torch

from akd_toolkit import models  # noqa: F401  registers the students
from akd_toolkit.deploy.export import check_parity, export_onnx
from akd_toolkit.deploy.export.parity import probe_waveforms
from akd_toolkit.models.storage import load_student, save_student
from akd_toolkit.registry import STUDENTS

LABELS = ["anger", "boredom", "fear", "neutral"]
each_student = pytest.mark.parametrize("name", STUDENTS.names())


def noise(batch, num_samples):
    return 0.1 * torch.randn(batch, num_samples, generator=torch.Generator().manual_seed(7))


def with_attributes(name):
    student = STUDENTS.example(name, num_classes=4).eval()
    before = student(noise(2, 8000)).logits
    student.add_attributes(2, torch.tensor([3.0, -10.0]), torch.tensor([0.5, 20.0]))
    return student, before


def test_the_students_are_found():
    assert len(STUDENTS.names()) >= 3


@each_student
def test_attributes_are_linear_in_the_embedding_and_leave_the_emotions_alone(name):
    student, before = with_attributes(name)
    output = student(noise(2, 8000))
    assert torch.equal(output.logits, before) and output.attributes.shape == (2, 2)
    linear = student.regressor.linear
    expected = (output.embedding @ linear.weight.T + linear.bias) * torch.tensor([0.5, 20.0])
    torch.testing.assert_close(output.attributes, expected + torch.tensor([3.0, -10.0]))
    assert STUDENTS.example(name, num_classes=4)(noise(2, 8000)).attributes is None


@each_student
def test_a_copy_and_a_saved_student_predict_the_same_attributes(name, tmp_path):
    student, _ = with_attributes(name)
    waveform = noise(2, 8000)
    copied = copy.deepcopy(student)
    with torch.no_grad():
        expected = student(waveform).attributes
        student.regressor.linear.bias += 1  # a copy has a head of its own
        assert torch.equal(copied(waveform).attributes, expected)
    spec = {"name": name, **STUDENTS.get(name).example_options}
    save_student(tmp_path, copied, spec, LABELS, attributes=["valence", "arousal"])
    loaded, about = load_student(tmp_path)
    assert about["attributes"] == ["valence", "arousal"]
    torch.testing.assert_close(loaded(waveform).attributes, expected)


@each_student
def test_the_head_of_attributes_learns_through_the_student(name):
    student, _ = with_attributes(name)
    student.train()(noise(4, 8000)).attributes.square().sum().backward()
    assert student.regressor.linear.weight.grad.any()
    others = [weight.grad for key, weight in student.named_parameters() if "regressor" not in key]
    assert any(grad is not None and grad.any() for grad in others)


def test_the_exported_file_returns_the_emotions(tmp_path):
    student, _ = with_attributes("micro_cnn")
    export_onnx(student, tmp_path / "student.onnx", LABELS)
    report = check_parity(tmp_path / "student.onnx", student, probe_waveforms(lengths=(8000,), batch_sizes=(2,)))
    assert report.changed_decisions == 0.0
