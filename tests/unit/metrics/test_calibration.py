"""Calibration of probabilities."""

import numpy as np
import pytest

from akd_toolkit.metrics import expected_calibration_error
from akd_toolkit.metrics.calibration import best_temperature, brier_score, negative_log_likelihood, tempered


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    logits = 3 * random.standard_normal((200, 4))
    truth = np.array([np.argmax(row + random.gumbel(size=4)) for row in logits / 2.5])  # logits are 2.5 times too large
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), truth


def test_likelihood_and_brier_score_equal_plain_loops(predictions):
    probs, truth = predictions
    nll = [-np.log(row[label]) for row, label in zip(probs, truth)]
    brier = [sum((row[c] - (c == label)) ** 2 for c in range(4)) for row, label in zip(probs, truth)]
    np.testing.assert_allclose(negative_log_likelihood(probs, truth), nll)
    np.testing.assert_allclose(brier_score(probs, truth), brier)


def test_a_confident_mistake_is_bad_but_finite():
    assert negative_log_likelihood([[1.0, 0.0]], [1])[0] == pytest.approx(np.log(1e12))
    assert np.isfinite(tempered([[1.0, 0.0]], 0.05)).all()


def test_a_temperature_keeps_the_order_and_one_changes_nothing(predictions):
    probs, _ = predictions
    np.testing.assert_allclose(tempered(probs, 1.0), probs)
    softer = tempered(probs, 3.0)
    np.testing.assert_array_equal(softer.argsort(axis=1), probs.argsort(axis=1))
    np.testing.assert_allclose(softer.sum(axis=1), 1.0)
    assert (softer.max(axis=1) < probs.max(axis=1)).all()


def test_the_best_temperature_is_the_best_of_a_grid(predictions):
    probs, truth = predictions
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 2001))
    nll = [negative_log_likelihood(tempered(probs, t), truth).mean() for t in grid]
    assert best_temperature(probs, truth) == pytest.approx(grid[np.argmin(nll)], rel=5e-3)
    assert 1.8 < best_temperature(probs, truth) < 3.5


def test_bad_input_is_refused():
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature"):
            tempered([[0.5, 0.5]], temperature)
    for score in (expected_calibration_error, brier_score, negative_log_likelihood):
        with pytest.raises(ValueError, match="probs"):
            score([[1.0, 0.0]], [0, 1])
    with pytest.raises(ValueError, match="num_bins"):
        expected_calibration_error([[1.0, 0.0]], [0], num_bins=0)
