"""How much classes count, and the losses that let them."""

import math

import pytest
import torch

from akd_toolkit.distill.losses import CrossEntropy, Focal
from akd_toolkit.distill.losses.cross_entropy import class_weights
from akd_toolkit.outputs import ModelOutput

COUNTS = [60, 10, 30]


@pytest.mark.parametrize("balanced, beta", [(True, 0.99), ("effective", 0.9), ("effective", 0.999)])
def test_weights_have_mean_1_over_the_training_utterances_and_lift_rare_classes(balanced, beta):
    weights = class_weights(balanced, COUNTS, beta).tolist()
    assert sum(n * w for n, w in zip(COUNTS, weights)) / sum(COUNTS) == pytest.approx(1.0)
    assert weights[1] > weights[2] > weights[0]


def test_effective_numbers_equal_the_papers_formula():
    weights, beta = class_weights("effective", COUNTS, 0.95).tolist(), 0.95
    numbers = [sum(beta**power for power in range(n)) for n in COUNTS]  # E_n = 1 + beta + ... + beta^(n - 1)
    assert [weights[0] / weight for weight in weights] == pytest.approx([n / numbers[0] for n in numbers], rel=1e-5)


def test_effective_numbers_lie_between_equal_weights_and_balanced_ones():
    torch.testing.assert_close(class_weights("effective", COUNTS, 0.0), torch.ones(3))
    torch.testing.assert_close(class_weights("effective", COUNTS, 1 - 1e-9), class_weights(True, COUNTS, 0.0))
    assert class_weights(False, COUNTS, 0.9) is None


@pytest.mark.parametrize("loss", [CrossEntropy, Focal])
@pytest.mark.parametrize("balanced, beta", [(True, 0.9), ("effective", 0.9)])
def test_losses_weigh_each_utterance_by_its_class(loss, balanced, beta):
    student, labels = ModelOutput(torch.randn(5, 3)), torch.tensor([0, 1, 2, 1, 0])
    plain = loss()(student, None, labels)
    weighed = loss(balanced=balanced, beta=beta, class_counts=COUNTS)(student, None, labels)
    torch.testing.assert_close(weighed, plain * class_weights(balanced, COUNTS, beta)[labels])


def test_focal_equals_its_definition_and_cross_entropy_at_gamma_0():
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    for gamma in (0.0, 0.5, 2.0):
        values = Focal(gamma=gamma)(ModelOutput(logits), None, labels)
        for row, label, value in zip(logits.double(), labels.tolist(), values.tolist()):
            q = math.exp(row[label]) / sum(math.exp(z) for z in row)
            assert value == pytest.approx(-((1 - q) ** gamma) * math.log(q), rel=1e-5)
    torch.testing.assert_close(
        Focal(gamma=0)(ModelOutput(logits), None, labels), CrossEntropy()(ModelOutput(logits), None, labels)
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_finite_gradient_however_sure_the_student_is(gamma):
    logits = torch.tensor([[1e4, 0.0], [-1e4, 0.0], [30.0, 0.0]], requires_grad=True)
    values = Focal(gamma=gamma)(ModelOutput(logits), None, torch.zeros(3, dtype=torch.long))
    values.sum().backward()
    assert values.isfinite().all() and logits.grad.isfinite().all() and float(values[1].detach()) == 1e4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"balanced": "yes"}, r"balanced must be false, true or effective, got 'yes'"),
        ({"balanced": 1}, r"balanced must be false, true or effective, got 1"),
        ({"balanced": "effective", "beta": 1.0}, r"beta must be in \[0, 1\), got 1.0"),
        ({"balanced": True, "class_counts": [3, 0]}, r"needs a training utterance of every class, got class_counts"),
        ({"balanced": "effective"}, r"needs a training utterance of every class, got class_counts None"),
    ],
)
@pytest.mark.parametrize("loss", [CrossEntropy, Focal])
def test_what_cannot_be_weighed_is_refused(loss, options, message):
    with pytest.raises(ValueError, match=message):
        loss(**options)


def test_a_negative_gamma_is_refused():
    with pytest.raises(ValueError, match="gamma must be >= 0, got -1"):
        Focal(gamma=-1)
