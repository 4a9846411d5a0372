"""Gates and weightings against NumPy's arithmetic."""

import json
from pathlib import Path

import pytest
import torch

from akd_toolkit.distill.gates import TeacherAgreement, TeacherCorrect, TeacherEntropy
from akd_toolkit.distill.weightings import BestSingle, ValidationAccuracy
from akd_toolkit.outputs import ModelOutput, TeacherOutput


@pytest.fixture(scope="module")
def reference():
    stored = json.loads(Path(__file__).with_name("reference.json").read_text())
    return {name: torch.tensor(value) for name, value in stored.items()}


@pytest.fixture
def outputs(reference):
    logits = reference["teacher_logits"]
    return ModelOutput(torch.zeros(logits.shape[1:])), TeacherOutput(logits, weights=reference["weights"])


def test_gates_equal_the_reference(reference, outputs):
    gates = {
        "teacher_correct": TeacherCorrect(),
        "teacher_entropy": TeacherEntropy(theta=float(reference["theta"])),
        "teacher_agreement": TeacherAgreement(),
    }
    for name, gate in gates.items():
        values = gate(*outputs, reference["labels"])
        torch.testing.assert_close(values, reference[name], rtol=1e-5, atol=1e-6)


def test_the_reference_has_open_and_shut_gates_and_full_agreement(reference):
    for name in ("teacher_correct", "teacher_entropy"):
        assert (reference[name] == 0).any() and (reference[name] > 0.3).any()
    assert reference["teacher_agreement"][0] == 1 and reference["teacher_agreement"].min() < 0.6


def test_weightings_equal_the_reference(reference, outputs):
    accuracies = reference["teacher_accuracies"].tolist()
    by_accuracy = ValidationAccuracy(accuracies, temperature=float(reference["temperature"]))
    torch.testing.assert_close(by_accuracy(*outputs, reference["labels"]), reference["validation_accuracy"])
    torch.testing.assert_close(BestSingle(accuracies)(*outputs, reference["labels"]), reference["best_single"])
