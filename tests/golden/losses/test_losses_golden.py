"""Losses, gate, Adapter and objective against NumPy's arithmetic."""

import json
from pathlib import Path

import pytest
import torch

from akd_toolkit.distill.objective import build_objective
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, WEIGHTINGS


@pytest.fixture(scope="module")
def reference():
    stored = json.loads(Path(__file__).with_name("reference.json").read_text())
    return {name: torch.tensor(value) for name, value in stored.items()}


@pytest.fixture
def models(reference):
    student = ModelOutput(
        reference["student_logits"], embedding=reference["student_embedding"], frames=reference["frames"]
    )
    embedding = tuple(reference[f"teacher_embedding_{t}"] for t in range(3))
    teacher = TeacherOutput(reference["teacher_logits"], embedding=embedding, names=("a", "b", "c"))
    return student, teacher, reference["labels"]


def fill(adapter, reference):
    with torch.no_grad():
        adapter.factors.copy_(reference["factors"])
        adapter.shared.copy_(reference["shared"])
    return adapter


def test_adapter_weights_equal_the_reference(reference, models):
    adapter = fill(WEIGHTINGS.build("adapter", num_teachers=3, student_frame_dim=4), reference)
    torch.testing.assert_close(adapter(*models), reference["weights"])


@pytest.mark.parametrize("name", ["cross_entropy", "soft_target_kl", "integrated_soft_targets"])
def test_loss_equals_the_reference(name, reference, models):
    student, teacher, labels = models
    options = {} if name == "cross_entropy" else {"temperature": float(reference["temperature"])}
    values = LOSSES.build(name, **options)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("stored", "name", "options"),
    [
        ("decoupled_kl", "decoupled_kl", {"alpha": 1.5, "beta": 4.0}),
        ("standardized_logit_kl", "standardized_logit_kl", {}),
        ("dist_inter", "dist", {"beta": 1.0, "gamma": 0.0}),
        ("dist_intra", "dist", {"beta": 0.0, "gamma": 1.0}),
        ("angle_relation_soft_targets", "angle_relation", {}),
        ("angle_relation_embedding", "angle_relation", {"space": "embedding"}),
        ("distance_relation_soft_targets", "distance_relation", {}),
        ("distance_relation_embedding", "distance_relation", {"space": "embedding"}),
    ],
)
def test_softened_loss_of_several_teachers_equals_the_reference(stored, name, options, reference, models):
    student, teacher, labels = models
    loss = LOSSES.build(name, temperature=float(reference["temperature"]), **options)
    values = loss(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[stored], rtol=1e-5, atol=1e-6)


def test_the_parts_of_the_utterances_have_the_intra_class_loss_as_their_mean(reference):
    torch.testing.assert_close(reference["dist_intra"].mean(), reference["dist_intra_mean"])


@pytest.mark.parametrize(("stored", "centred"), [("logit_mse", True), ("logit_mse_not_centred", False)])
def test_logit_mse_equals_the_reference(stored, centred, reference, models):
    student, teacher, labels = models
    values = LOSSES.build("logit_mse", centred=centred)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[stored], rtol=1e-5, atol=1e-6)


def test_gate_equals_the_reference_and_is_both_shut_and_open_there(reference, models):
    student, teacher, labels = models
    values = GATES.build("teacher_error", theta=0.8)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference["gate"], rtol=1e-5, atol=1e-6)
    assert (reference["gate"] == 0).any() and (reference["gate"] > 0.2).any()


def test_objective_equals_the_reference(reference, models):
    temperature = float(reference["temperature"])
    objective = build_objective(
        {
            "task": {"name": "cross_entropy", "weight": 1.0},
            "distill": [
                {"name": "integrated_soft_targets", "weight": 0.7, "temperature": temperature},
                {"name": "soft_target_kl", "weight": 0.2, "temperature": temperature},
            ],
            "weighting": {"name": "adapter"},
            "gate": {"name": "teacher_error", "theta": 0.8},
        },
        num_teachers=3,
        student_frame_dim=4,
    )
    fill(objective.weighting, reference)
    result = objective(*models)
    torch.testing.assert_close(result.total, reference["total"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.parts["soft_target_kl"], reference["soft_target_kl"].mean())
    torch.testing.assert_close(result.weights, reference["weights"])
