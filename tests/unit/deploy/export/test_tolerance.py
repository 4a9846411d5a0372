"""Which files are too far from their modules."""

import numpy as np
import pytest

from akd_toolkit.deploy.export.tolerance import TOLERANCES, check_decisions, ua_loss


def decide(precision, total, changed, truth=None):
    before = np.zeros(total, dtype=int)
    check_decisions("student.onnx", precision, before, np.where(np.arange(total) < changed, 1, 0), truth)


def test_in_32_bits_one_changed_decision_is_too_many():
    decide("fp32", 535, 0)
    with pytest.raises(ValueError, match="decides 1 of 535 utterances otherwise .* more than the 0 % that fp32"):
        decide("fp32", 535, 1)


@pytest.mark.parametrize(("precision", "total", "most"), [("fp16", 100, 3), ("int8", 100, 6), ("int8", 535, 19)])
def test_fewer_bits_may_change_what_chance_allows_and_no_more(precision, total, most):
    # sum over k >= most + 1 of C(total, k) p^k (1 - p)^(total - k) is the first below 1 %
    decide(precision, total, most)
    with pytest.raises(ValueError, match=f"decides {most + 1} of {total} utterances otherwise"):
        decide(precision, total, most + 1)


def test_many_changes_for_the_worse_are_refused_though_each_share_is_small():
    truth = np.repeat([0, 1], 5000)
    after = np.where(np.arange(10000) < 180, 1, truth)  # 1.8 % of all, all of them mistakes: 1.8 points of UA
    with pytest.raises(ValueError, match=r"loses 1\.8 points of UA on 10000 utterances, more than the 0\.5"):
        check_decisions("student.onnx", "int8", truth, after, truth)
    before = np.where(np.arange(10000) < 180, 1, truth)
    check_decisions("student.onnx", "int8", before, truth, truth)  # all for the better


def test_the_loss_and_its_error_by_hand():
    truth, before, after = [0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0]
    loss, error = ua_loss(truth, before, after)  # d of class 0: 0, -1; of class 1: 0, 0, 0, 1
    assert loss == pytest.approx((-0.5 + 0.25) / 2)
    assert error == pytest.approx(np.sqrt(0.5 / 2 + 0.25 / 4) / 2)  # means of d squared: 1/2 and 1/4


def test_a_class_of_one_utterance_proves_nothing():
    truth = np.array([0] * 50 + [1] * 50 + [2] * 50 + [3])
    after = np.where(np.arange(151) == 150, 0, truth)  # the only one of class 3 is lost: 25 points of UA
    check_decisions("student.int8.onnx", "int8", truth, after, truth)


def test_every_precision_has_its_tolerance():
    assert {name: (t.changed, t.ua) for name, t in TOLERANCES.items()} == {
        "fp32": (0.0, 0.0), "fp16": (0.005, 0.005), "int8": (0.02, 0.005),
    }  # fmt: skip
