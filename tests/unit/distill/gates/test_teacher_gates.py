"""The gates that judge the teachers: by their label, their doubt, their agreement."""

import dataclasses

import pytest
import torch

from akd_toolkit.distill.gates import TeacherAgreement, TeacherCorrect, TeacherEntropy
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.outputs import UNLABELLED, ModelOutput, TeacherOutput

GATES = [TeacherCorrect, TeacherEntropy, TeacherAgreement]


def certain(*classes, num_classes=4):
    """Teachers that are sure of one class each, on one utterance."""
    logits = torch.full((len(classes), 1, num_classes), -1e4)
    for index, sure in enumerate(classes):
        logits[index, 0, sure] = 1e4
    return TeacherOutput(logits)


def gate_of(gate, teacher, label=0):
    batch, num_classes = teacher.logits.shape[1:]
    return gate(ModelOutput(torch.zeros(batch, num_classes)), teacher, torch.full((batch,), label)).tolist()


def test_only_the_teachers_right_answer_opens_the_hard_gate():
    assert gate_of(TeacherCorrect(), certain(2), label=2) == [1.0]
    assert gate_of(TeacherCorrect(), certain(2), label=1) == [0.0]


def test_the_hard_gate_asks_the_trusted_mixture():
    torn = certain(0, 3)
    assert gate_of(TeacherCorrect(), torn.weighted(torch.tensor([[0.4], [0.6]])), label=3) == [1.0]
    assert gate_of(TeacherCorrect(), torn.weighted(torch.tensor([[0.6], [0.4]])), label=3) == [0.0]


def test_entropy_of_nothing_known_shuts_and_certainty_opens():
    assert gate_of(TeacherEntropy(), TeacherOutput(torch.zeros(2, 1, 7))) == pytest.approx([0.0], abs=1e-6)
    assert gate_of(TeacherEntropy(), certain(1, 1)) == [1.0]


def test_two_sure_teachers_that_differ_leave_doubt():
    # the mixture is (1/2, 1/2, 0, 0): log 2 of log 4
    assert gate_of(TeacherEntropy(), certain(0, 1)) == pytest.approx([0.5])


def test_theta_shuts_the_entropy_gate_above_its_bound():
    half = certain(0, 1)  # normalised entropy 0.5
    assert gate_of(TeacherEntropy(theta=0.51), half) == pytest.approx([0.5])
    assert gate_of(TeacherEntropy(theta=0.49), half) == [0.0]
    assert gate_of(TeacherEntropy(theta=0.0), certain(1)) == [1.0]


@pytest.mark.parametrize("theta", [-0.1, 1.1, float("nan")])
def test_a_bound_outside_its_range_is_refused(theta):
    with pytest.raises(ValueError, match=r"theta must be in \[0, 1\], got"):
        TeacherEntropy(theta=theta)


def test_equal_teachers_agree_and_sure_ones_that_differ_do_not():
    same = TeacherOutput(torch.randn(1, 6, 5).repeat(3, 1, 1))
    assert gate_of(TeacherAgreement(), same) == pytest.approx([1.0] * 6, abs=1e-6)
    assert gate_of(TeacherAgreement(), certain(0, 3)) == pytest.approx([0.0], abs=1e-6)
    assert gate_of(TeacherAgreement(), certain(0, 1, 2)) == pytest.approx([0.0], abs=1e-6)


def test_agreement_of_more_teachers_than_classes_still_reaches_zero():
    # the mixture of four is (1/2, 1/2): log 2 of log min(4, 2)
    assert gate_of(TeacherAgreement(), certain(0, 0, 1, 1, num_classes=2)) == pytest.approx([0.0], abs=1e-6)


def test_one_teacher_and_full_trust_in_one_always_agree():
    assert gate_of(TeacherAgreement(), TeacherOutput(torch.randn(1, 5, 4))) == [1.0] * 5
    alone = certain(0, 3).weighted(torch.tensor([[1.0], [0.0]]))
    assert gate_of(TeacherAgreement(), alone) == [1.0]


def test_unequal_trust_makes_disagreement_count_less():
    # H(0.9, 0.1) / log 2 = 0.4690
    lop_sided = certain(0, 3).weighted(torch.tensor([[0.9], [0.1]]))
    assert gate_of(TeacherAgreement(), lop_sided) == pytest.approx([1 - 0.46900], abs=1e-4)


@pytest.mark.parametrize("gate", GATES)
def test_the_order_of_the_teachers_does_not_matter(gate, pair):
    student, teacher, labels = pair(teachers=3, batch=7)
    weights = torch.rand(3, 7)
    teacher = teacher.weighted(weights / weights.sum(dim=0))
    order = torch.tensor([2, 0, 1])
    moved = dataclasses.replace(teacher, logits=teacher.logits[order], weights=teacher.weights[order])
    torch.testing.assert_close(gate()(student, moved, labels), gate()(student, teacher, labels))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_teachers_leave_the_gate_in_its_range(gate, dtype, pair):
    student, teacher, labels = pair(scale=1e3)
    half = dataclasses.replace(teacher, logits=teacher.logits.to(dtype))
    with torch.autocast("cpu", dtype):
        values = gate()(student, half, labels)
    assert values.dtype == torch.float32 and ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(
    "gate, opened", [("teacher_correct", 1.0), ("teacher_entropy", 0.0), ("teacher_agreement", 0.0)]
)
def test_speech_without_a_label_is_gated_by_what_asks_for_none(gate, opened):
    """Two sure teachers of two classes that differ: no agreement, no certainty, and no label to be wrong about."""
    objective = build_objective(
        {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl"}], "gate": {"name": gate}}
    )
    result = objective(ModelOutput(torch.zeros(1, 2)), certain(0, 1, num_classes=2), torch.tensor([UNLABELLED]))
    assert result.gate.tolist() == pytest.approx([opened], abs=1e-6)
