"""How much classes count, and the losses that use it."""

import math

import pytest
import torch

from akd_toolkit.distill.losses import CrossEntropy, Focal
from akd_toolkit.distill.losses.cross_entropy import class_weights
from akd_toolkit.outputs import ModelOutput

COUNTS = [60, 10, 30]
each_loss = pytest.mark.parametrize("loss", [CrossEntropy, Focal])


@pytest.mark.parametrize(("balanced", "beta"), [(True, 0.99), ("effective", 0.9), ("effective", 0.999)])
def test_weights_have_mean_1_over_the_training_utterances_and_raise_rare_classes(balanced, beta):
    weights = class_weights(balanced, COUNTS, beta).tolist()
    assert sum(n * w for n, w in zip(COUNTS, weights)) / sum(COUNTS) == pytest.approx(1.0)
    assert weights[1] > weights[2] > weights[0]


def test_effective_numbers_equal_the_papers_formula_and_its_limits():
    weights, beta = class_weights("effective", COUNTS, 0.95).tolist(), 0.95
    numbers = [sum(beta**power for power in range(n)) for n in COUNTS]  # E_n = 1 + beta + ... + beta^(n - 1)
    assert [weights[0] / weight for weight in weights] == pytest.approx([n / numbers[0] for n in numbers], rel=1e-5)
    torch.testing.assert_close(class_weights("effective", COUNTS, 0.0), torch.ones(3))
    torch.testing.assert_close(class_weights("effective", COUNTS, 1 - 1e-9), class_weights(True, COUNTS, 0.0))
    assert class_weights(False, COUNTS, 0.9) is None


@each_loss
@pytest.mark.parametrize("balanced", [True, "effective"])
def test_losses_weight_each_utterance_by_its_class(loss, balanced):
    student, labels = ModelOutput(torch.randn(5, 3)), torch.tensor([0, 1, 2, 1, 0])
    plain = loss()(student, None, labels)
    weighted = loss(balanced=balanced, beta=0.9, class_counts=COUNTS)(student, None, labels)
    torch.testing.assert_close(weighted, plain * class_weights(balanced, COUNTS, 0.9)[labels])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_equals_its_definition_with_a_finite_gradient(gamma):
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    for row, label, value in zip(logits.double(), labels, Focal(gamma=gamma)(ModelOutput(logits), None, labels)):
        q = float(torch.softmax(row, dim=0)[label])
        assert float(value) == pytest.approx(-((1 - q) ** gamma) * math.log(q), rel=1e-5)
    certain = torch.tensor([[1e4, 0.0], [-1e4, 0.0], [30.0, 0.0]], requires_grad=True)
    values = Focal(gamma=gamma)(ModelOutput(certain), None, torch.zeros(3, dtype=torch.long))
    values.sum().backward()
    assert values.isfinite().all() and certain.grad.isfinite().all() and float(values[1].detach()) == 1e4


@each_loss
@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"balanced": "yes"}, "balanced .*'yes'"),
        ({"balanced": 1}, "balanced .*1"),
        ({"balanced": "effective", "beta": 1.0}, "beta"),
        ({"balanced": True, "class_counts": [3, 0]}, "class_counts"),
        ({"balanced": "effective"}, "class_counts None"),
    ],
)
def test_options_that_make_no_weights_are_refused(loss, options, key):
    with pytest.raises(ValueError, match=key):
        loss(**options)
