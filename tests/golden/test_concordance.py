"""Metric, losses and gate of dimensional labels against loops over pairs of utterances, from Lin's definition."""

import numpy as np
import pytest
import torch

from akd_toolkit.distill.objective import build_objective
from akd_toolkit.metrics import ccc
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES


def naive_ccc(t, p):
    """Lin 1989 by the long way: one minus the expected squared difference over that of independent pairs."""
    n = len(t)
    together = sum((t[i] - p[i]) ** 2 for i in range(n)) / n
    independent = sum((t[i] - p[j]) ** 2 for i in range(n) for j in range(n)) / n**2
    return 1 - together / independent


def mean_ccc(truth, prediction):
    """Mean over attributes of the CCC over their known utterances."""
    values = []
    for t, p in zip(truth.T, prediction.T):
        known = [i for i in range(len(t)) if not np.isnan(t[i])]
        values.append(naive_ccc(t[known], p[known]))
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(20260301)
    batch, attributes, teachers = 9, 3, 2
    truth = rng.normal(3, 1, (batch, attributes))
    student = 0.5 * truth + rng.normal(1, 0.7, (batch, attributes))
    predicted = 0.8 * truth + rng.normal(0.5, 0.4, (teachers, batch, attributes))
    weights = rng.dirichlet([1.0] * teachers, batch).T
    trusted = sum(weights[m][:, None] * predicted[m] for m in range(teachers))
    partly = truth.copy()
    partly[0] = np.nan  # an utterance of which nothing is known
    partly[[3, 4, 7], 1] = np.nan  # and some of which one attribute is not
    gamma = 1 - mean_ccc(partly, trusted)
    return dict(
        truth=truth,
        partly_known=partly,
        student=student,
        teachers=predicted,
        weights=weights,
        ccc_of_attributes=[naive_ccc(t, p) for t, p in zip(truth.T, student.T)],
        concordance_mean=1 - mean_ccc(truth, student),
        concordance_mean_of_known=1 - mean_ccc(partly, student),
        teacher_concordance_mean=1 - mean_ccc(trusted, student),
        gate_open=1 - gamma,
    )


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
