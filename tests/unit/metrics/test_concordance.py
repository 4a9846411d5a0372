"""Concordance by hand, and its share for each utterance."""

import numpy as np
import pytest
import torch

from akd_toolkit.metrics import ccc
from akd_toolkit.metrics.concordance import discordances


@pytest.fixture
def scored():
    random = np.random.default_rng(4)
    truth = random.normal(3, 1, 20)
    return truth, 0.7 * truth + random.normal(1, 0.5, (2, 20))


def test_values_equal_lin_s_formula_by_hand():
    truth = np.array([-1.0, 1.0])
    assert ccc(truth, truth) == 1 and ccc(truth, -truth) == -1
    assert ccc(truth, 2 * truth) == pytest.approx(2 * 2 / (1 + 4))  # 2 cov / (var + var)
    assert ccc(truth, truth + 2) == pytest.approx(2 / (2 + 4))  # 2 cov / (var + var + 2^2)
    assert ccc([1, 2, 3], [2, 2, 2]) == 0
    assert np.isnan(ccc([2, 2], [2, 2]))


def test_an_unknown_truth_is_left_out():
    assert ccc([1, np.nan, 3, 4], [2, 9, 2, 5]) == ccc([1, 3, 4], [2, 2, 5])


@pytest.mark.parametrize(
    "truth, prediction, key",
    [
        ([1, 2], [1], "shapes"),
        ([np.nan], [1], "known truth"),
        ([1, 2], [1, np.inf], "not finite"),
    ],
)
def test_bad_input_is_refused(truth, prediction, key):
    with pytest.raises(ValueError, match=key):
        ccc(truth, prediction)


def test_shares_average_to_one_minus_the_metric_and_so_does_their_gradient(scored):
    truth, predictions = scored
    truth = torch.tensor(np.stack([truth, truth[::-1]], axis=1))
    truth[3], truth[5:9, 1] = torch.nan, torch.nan
    prediction = torch.tensor(predictions.T.copy(), requires_grad=True)
    known = ~truth.isnan()
    shares = discordances(prediction, truth)
    expected = np.mean([ccc(truth[:, a], prediction.detach()[:, a]) for a in range(2)])
    assert shares[known.any(dim=1)].mean().item() == pytest.approx(1 - expected, rel=1e-5)
    shares[known.any(dim=1)].mean().backward()
    for row, column in ((0, 0), (6, 0), (11, 1)):
        up, down = predictions.T.copy(), predictions.T.copy()
        up[row, column] += 1e-4
        down[row, column] -= 1e-4
        up, down = (np.mean([ccc(truth[:, a], moved[:, a]) for a in range(2)]) for moved in (up, down))
        assert float(prediction.grad[row, column]) == pytest.approx((down - up) / 2e-4, rel=1e-2, abs=1e-5)
    assert not prediction.grad[~known].any()


@pytest.mark.parametrize("truth", [[[2.0]], [[1.0]], [[float("nan")]]])
def test_one_utterance_alone_has_a_finite_share_and_gradient(truth):
    prediction = torch.tensor([[1.0]], requires_grad=True)
    shares = discordances(prediction, torch.tensor(truth))
    shares.sum().backward()
    assert shares.isfinite().all() and prediction.grad.isfinite().all()
