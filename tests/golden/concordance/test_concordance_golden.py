"""Metric, losses and gate of dimensional labels against loops over pairs of utterances."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from akd_toolkit.distill.objective import build_objective
from akd_toolkit.metrics import ccc
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES


@pytest.fixture(scope="module")
def reference():
    stored = json.loads(Path(__file__).with_name("reference.json").read_text())
    return {name: np.array(value, dtype=float) for name, value in stored.items()}  # null becomes NaN


@pytest.fixture
def models(reference):
    def tensor(name):
        return torch.tensor(reference[name], dtype=torch.float)

    logits = torch.zeros(9, 4)
    teacher = TeacherOutput(torch.zeros(2, 9, 4), weights=tensor("weights"), attributes=tensor("teachers"))
    return ModelOutput(logits, attributes=tensor("student")), teacher, tensor("truth"), tensor("partly_known")


def test_metric_equals_the_loops(reference):
    found = [ccc(t, p) for t, p in zip(reference["truth"].T, reference["student"].T)]
    np.testing.assert_allclose(found, reference["ccc_of_attributes"], rtol=1e-12)


def test_mean_of_the_loss_is_one_minus_the_loops_ccc(reference, models):
    student, _, truth, partly = models
    loss = LOSSES.build("concordance")
    assert float(loss(student, None, truth).mean()) == pytest.approx(reference["concordance_mean"], rel=1e-5)
    known = ~partly.isnan().all(dim=1)
    values = loss(student, None, partly)
    assert float(values[known].mean()) == pytest.approx(reference["concordance_mean_of_known"], rel=1e-5)
    assert values[~known].tolist() == [0.0]


def test_teachers_loss_is_one_minus_the_loops_ccc_with_their_trusted_mean(reference, models):
    student, teacher, *_ = models
    values = LOSSES.build("teacher_concordance")(student, teacher, None)
    assert float(values.mean()) == pytest.approx(reference["teacher_concordance_mean"], rel=1e-5)


def test_gate_is_the_loops_ccc_of_the_teachers_for_the_whole_batch(reference, models):
    student, teacher, _, partly = models
    expected = float(reference["gate_open"])
    assert 0.1 < expected < 0.95
    for theta, value in ((1 - expected + 0.01, expected), (1 - expected - 0.01, 0.0)):
        gate = GATES.build("teacher_concordance_error", theta=theta)(student, teacher, partly)
        np.testing.assert_allclose(gate, [value] * 9, rtol=1e-5)


def test_objective_puts_them_together_as_equation_14_says(reference, models):
    student, teacher, _, partly = models
    objective = build_objective(
        {
            "task": [{"name": "cross_entropy", "weight": 0.0}, {"name": "concordance", "weight": 1.0}],
            "distill": [{"name": "teacher_concordance", "weight": 0.5}],
            "gate": {"name": "teacher_concordance_error", "theta": 1.0},
            "complementary": True,
        },
        num_attributes=3,
    )
    result = objective(student, teacher, torch.zeros(9, dtype=torch.long), partly)
    assert result.gate.tolist() == pytest.approx([float(reference["gate_open"])] * 9, rel=1e-5)
    beta = 1 - float(reference["gate_open"])
    task, distill = reference["concordance_mean_of_known"], reference["teacher_concordance_mean"]
    assert float(result.total) == pytest.approx(beta * task + (1 - beta) * 0.5 * distill, rel=1e-5)
    assert float(result.parts["concordance"]) == pytest.approx(task, rel=1e-5)
