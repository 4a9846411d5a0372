import numpy as np
import pytest

from akd_toolkit.metrics import expected_calibration_error


def test_error_equals_a_calculation_by_hand_over_two_bins():
    # Bin (0.5, 0.75]: confidence 0.6 and 0.7, one right. Bin (0.75, 1]: confidence 0.9 twice, both right.
    probs = [[0.6, 0.4], [0.7, 0.3], [0.9, 0.1], [0.1, 0.9]]
    by_hand = (2 / 4) * abs(1 / 2 - 0.65) + (2 / 4) * abs(1 - 0.9)
    assert expected_calibration_error(probs, [0, 1, 0, 1], num_bins=4) == pytest.approx(by_hand)


def test_sure_and_always_right_has_no_error_and_sure_and_always_wrong_has_all():
    assert expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert expected_calibration_error(np.eye(3), [1, 2, 0]) == 1


def test_a_share_right_that_equals_the_confidence_has_no_error():
    probs = np.tile([0.75, 0.25], (400, 1))
    assert expected_calibration_error(probs, [0] * 300 + [1] * 100) == pytest.approx(0, abs=1e-12)


def test_unequal_lengths_and_no_bins_are_refused():
    with pytest.raises(ValueError, match="probs must be"):
        expected_calibration_error([[1.0, 0.0]], [0, 1])
    with pytest.raises(ValueError, match="num_bins must be >= 1, got 0"):
        expected_calibration_error([[1.0, 0.0]], [0], num_bins=0)
