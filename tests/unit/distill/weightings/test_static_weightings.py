"""The weightings that know each teacher's accuracy and nothing of the utterance."""

import math

import pytest
import torch

from akd_toolkit.distill.objective import build_objective
from akd_toolkit.distill.weightings import BestSingle, ValidationAccuracy
from akd_toolkit.outputs import ModelOutput, TeacherOutput


def weights_of(weighting, num_teachers, batch=1):
    teacher = TeacherOutput(torch.randn(num_teachers, batch, 4))
    return weighting(ModelOutput(torch.zeros(batch, 4)), teacher, torch.zeros(batch, dtype=torch.long))


def test_a_lead_of_one_temperature_counts_e_fold():
    first, second = weights_of(ValidationAccuracy([0.75, 0.7], temperature=0.05), 2)[:, 0].tolist()
    assert first / second == pytest.approx(math.e, rel=1e-5)


def test_equal_accuracies_are_trusted_equally():
    assert weights_of(ValidationAccuracy([0.6, 0.6, 0.6]), 3)[:, 0].tolist() == pytest.approx([1 / 3] * 3)


def test_temperature_leads_from_the_best_teacher_to_all_of_them():
    accuracies = [0.6, 0.8, 0.7]
    cold = weights_of(ValidationAccuracy(accuracies, temperature=1e-4), 3)
    hot = weights_of(ValidationAccuracy(accuracies, temperature=1e4), 3)
    torch.testing.assert_close(cold, weights_of(BestSingle(accuracies), 3))
    assert hot[:, 0].tolist() == pytest.approx([1 / 3] * 3, abs=1e-4)


@pytest.mark.parametrize("weighting", [ValidationAccuracy, BestSingle])
def test_teachers_in_another_order_take_their_trust_with_them(weighting):
    accuracies, order = [0.6, 0.8, 0.7], [2, 0, 1]
    weights = weights_of(weighting(accuracies), 3, batch=5)
    moved = weights_of(weighting([accuracies[index] for index in order]), 3, batch=5)
    torch.testing.assert_close(moved, weights[order])


def test_every_utterance_gets_the_same_trust():
    weights = weights_of(ValidationAccuracy([0.6, 0.8]), 2, batch=6)
    assert (weights == weights[:, :1]).all()


def test_the_first_of_equals_gets_all_trust():
    assert weights_of(BestSingle([0.5, 0.7, 0.7]), 3)[:, 0].tolist() == [0.0, 1.0, 0.0]


def test_the_mixture_is_the_best_teacher_alone(pair):
    student, teacher, labels = pair(teachers=3)
    mixture = teacher.weighted(BestSingle([0.5, 0.6, 0.9])(student, teacher, labels)).mixture(1.0)
    torch.testing.assert_close(mixture, torch.softmax(teacher.logits[2], dim=-1))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        ValidationAccuracy([0.5], temperature=0)
    with pytest.raises(ValueError, match=r"teacher_accuracies must be in \[0, 1\], got \[71.2\]"):
        ValidationAccuracy([71.2])


@pytest.mark.parametrize("name", ["validation_accuracy", "best_single"])
def test_the_objective_fills_in_the_accuracies_and_may_move_the_temperature(name, pair):
    student, teacher, labels = pair()
    moving = {"temperature": {"name": "linear", "start": 0.2, "end": 0.1}} if name == "validation_accuracy" else {}
    spec = {
        "task": {"name": "cross_entropy"},
        "distill": [{"name": "integrated_soft_targets"}],
        "weighting": {"name": name, **moving},
    }
    objective = build_objective(spec, teacher_accuracies=[0.6, 0.7], num_teachers=2)
    objective.set_progress(1.0)
    result = objective(student, teacher, labels)
    result.total.backward()
    expected = math.e / (1 + math.e) if moving else 1.0
    assert result.weights[1].tolist() == pytest.approx([expected] * 5)
    assert student.logits.grad.isfinite().all()


@pytest.mark.parametrize("name", ["validation_accuracy", "best_single"])
def test_an_objective_without_teachers_can_still_be_built(name):
    build_objective({"task": {"name": "cross_entropy"}, "weighting": {"name": name}}, teacher_accuracies=[])
