"""Gates that judge the teachers by their label, doubt and agreement; weightings that know their accuracy."""

import dataclasses
import math

import pytest
import torch

from akd_toolkit.distill.gates import TeacherAgreement, TeacherCorrect, TeacherEntropy
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.distill.weightings import BestSingle, ValidationAccuracy
from akd_toolkit.outputs import UNLABELLED, ModelOutput, TeacherOutput

each_gate = pytest.mark.parametrize("gate", [TeacherCorrect, TeacherEntropy, TeacherAgreement])


def certain(*classes, num_classes=4, trust=None):
    """Teachers that are certain of one class each, on one utterance, with these weights."""
    logits = torch.full((len(classes), 1, num_classes), -1e4)
    for index, sure in enumerate(classes):
        logits[index, 0, sure] = 1e4
    return TeacherOutput(logits, weights=None if trust is None else torch.tensor(trust)[:, None])


@pytest.mark.parametrize(
    ("gate", "teacher", "label", "expected"),
    [
        (TeacherCorrect(), certain(2), 2, 1.0),
        (TeacherCorrect(), certain(2), 1, 0.0),
        (TeacherCorrect(), certain(0, 3, trust=[0.4, 0.6]), 3, 1.0),  # the trusted mixture decides
        (TeacherCorrect(), certain(0, 3, trust=[0.6, 0.4]), 3, 0.0),
        (TeacherEntropy(), TeacherOutput(torch.zeros(2, 1, 7)), 0, 0.0),
        (TeacherEntropy(), certain(1, 1), 0, 1.0),
        (TeacherEntropy(), certain(0, 1), 0, 0.5),  # the mixture is (1/2, 1/2, 0, 0): log 2 of log 4
        (TeacherEntropy(theta=0.51), certain(0, 1), 0, 0.5),
        (TeacherEntropy(theta=0.49), certain(0, 1), 0, 0.0),
        (TeacherEntropy(theta=0.0), certain(1), 0, 1.0),
        (TeacherAgreement(), certain(3, 3), 0, 1.0),
        (TeacherAgreement(), certain(0, 3), 0, 0.0),
        (TeacherAgreement(), certain(0, 0, 1, 1, num_classes=2), 0, 0.0),  # (1/2, 1/2): log 2 of log min(4, 2)
        (TeacherAgreement(), TeacherOutput(torch.ones(1, 1, 4)), 0, 1.0),  # one teacher
        (TeacherAgreement(), certain(0, 3, trust=[1.0, 0.0]), 0, 1.0),
        (TeacherAgreement(), certain(0, 3, trust=[0.9, 0.1]), 0, 1 - 0.46900),  # H(0.9, 0.1) / log 2
    ],
)
def test_gates_have_their_closed_form(gate, teacher, label, expected):
    student = ModelOutput(torch.zeros(1, teacher.logits.shape[-1]))
    assert gate(student, teacher, torch.tensor([label])).tolist() == pytest.approx([expected], abs=1e-4)


@pytest.mark.parametrize("theta", [-0.1, 1.1, float("nan")])
def test_a_bound_outside_its_range_is_refused(theta):
    with pytest.raises(ValueError, match="theta"):
        TeacherEntropy(theta=theta)


@each_gate
def test_the_order_of_the_teachers_does_not_matter(gate, pair):
    student, teacher, labels = pair(teachers=3, batch=7)
    weights = torch.rand(3, 7)
    teacher = teacher.weighted(weights / weights.sum(dim=0))
    order = torch.tensor([2, 0, 1])
    embedding = tuple(teacher.embedding[number] for number in order)
    moved = dataclasses.replace(
        teacher, logits=teacher.logits[order], weights=teacher.weights[order], embedding=embedding
    )
    torch.testing.assert_close(gate()(student, moved, labels), gate()(student, teacher, labels))


@each_gate
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_teachers_leave_the_gate_in_its_range(gate, dtype, pair):
    student, teacher, labels = pair(scale=1e3)
    half = dataclasses.replace(teacher, logits=teacher.logits.to(dtype))
    with torch.autocast("cpu", dtype):
        values = gate()(student, half, labels)
    assert values.dtype == torch.float32 and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(
    ("gate", "opened"), [("teacher_correct", 1.0), ("teacher_entropy", 0.0), ("teacher_agreement", 0.0)]
)
def test_unlabelled_speech_is_gated_by_what_needs_no_label(gate, opened):
    spec = {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl"}], "gate": {"name": gate}}
    teachers, unlabelled = certain(0, 1, num_classes=2), torch.tensor([UNLABELLED])
    result = build_objective(spec)(ModelOutput(torch.zeros(1, 2)), teachers, unlabelled)
    assert result.gate.tolist() == pytest.approx([opened], abs=1e-6)


def test_distance_gates_by_the_embeddings_that_are_trusted():
    near, far = torch.full((1, 4), 0.5), torch.full((1, 6), 3.0)
    teacher = TeacherOutput(torch.zeros(2, 1, 2), embedding=(near, far), weights=torch.tensor([[1.0], [0.0]]))
    spec = {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl"}]}
    objective = build_objective(spec | {"gate": {"name": "teacher_distance", "limit": 1.0}})
    assert objective.reads == {"embedding"}
    for weights, opened in (([[1.0], [0.0]], 1.0), ([[0.0], [1.0]], 0.0), ([[0.5], [0.5]], 0.0)):
        trusted = teacher.weighted(torch.tensor(weights))
        result = objective(ModelOutput(torch.zeros(1, 2)), trusted, torch.tensor([UNLABELLED]))
        assert result.gate.tolist() == [opened]
    with pytest.raises(ValueError, match="limit"):
        build_objective(spec | {"gate": {"name": "teacher_distance", "limit": 0}})


def weights_of(weighting, num_teachers, batch=1):
    teacher = TeacherOutput(torch.randn(num_teachers, batch, 4))
    return weighting(ModelOutput(torch.zeros(batch, 4)), teacher, torch.zeros(batch, dtype=torch.long))


def test_accuracy_decides_between_the_best_teacher_and_all_of_them():
    first, second = weights_of(ValidationAccuracy([0.75, 0.7], temperature=0.05), 2)[:, 0].tolist()
    assert first / second == pytest.approx(math.e, rel=1e-5)
    accuracies = [0.6, 0.8, 0.7]
    cold, hot = (weights_of(ValidationAccuracy(accuracies, temperature=10.0**power), 3, batch=6) for power in (-4, 4))
    torch.testing.assert_close(cold, weights_of(BestSingle(accuracies), 3, batch=6))
    torch.testing.assert_close(hot, torch.full((3, 6), 1 / 3), atol=1e-4, rtol=0)
    assert weights_of(BestSingle([0.5, 0.7, 0.7]), 3)[:, 0].tolist() == [0.0, 1.0, 0.0]  # the first of equals


@pytest.mark.parametrize(
    ("options", "key"), [({"temperature": 0}, "temperature"), ({"teacher_accuracies": [71.2]}, "teacher_accuracies")]
)
def test_options_out_of_range_are_refused(options, key):
    with pytest.raises(ValueError, match=key):
        ValidationAccuracy(**{"teacher_accuracies": [0.5], **options})


@pytest.mark.parametrize("name", ["validation_accuracy", "best_single"])
def test_the_objective_fills_in_the_accuracies_and_may_move_the_temperature(name, pair):
    student, teacher, labels = pair()
    moving = {"temperature": {"name": "linear", "start": 0.2, "end": 0.1}} if name == "validation_accuracy" else {}
    spec = {
        "task": {"name": "cross_entropy"},
        "distill": [{"name": "integrated_soft_targets"}],
        "weighting": {"name": name, **moving},
    }
    build_objective(spec, teacher_accuracies=[])  # without teachers
    objective = build_objective(spec, teacher_accuracies=[0.6, 0.7], num_teachers=2)
    objective.set_progress(1.0)
    result = objective(student, teacher, labels)
    result.total.backward()
    expected = math.e / (1 + math.e) if moving else 1.0
    assert result.weights[1].tolist() == pytest.approx([expected] * 5)
    assert student.logits.grad.isfinite().all()
