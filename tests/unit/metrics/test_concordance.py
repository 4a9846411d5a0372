"""Concordance by hand, its interval, and its share for each utterance."""

from itertools import product

import numpy as np
import pytest
import torch

from akd_toolkit.metrics import ccc, speaker_bootstrap_ccc
from akd_toolkit.metrics.concordance import discordances


@pytest.fixture
def scored():
    random = np.random.default_rng(4)
    truth = random.normal(3, 1, 20)
    return truth, 0.7 * truth + random.normal(1, 0.5, (2, 20)), np.repeat(["a", "b", "c", "d"], 5)


def test_it_is_one_for_equal_and_minus_one_for_mirrored_values():
    assert ccc([1, 2, 3], [1, 2, 3]) == 1.0 and ccc([-1, 0, 1], [1, 0, -1]) == -1.0


def test_a_wrong_scale_and_a_wrong_offset_cost_what_lin_says():
    truth = np.array([-1.0, 1.0])
    assert ccc(truth, 2 * truth) == pytest.approx(2 * 2 / (1 + 4))  # 2 cov / (var + var)
    assert ccc(truth, truth + 2) == pytest.approx(2 / (2 + 4))  # 2 cov / (var + var + 2^2)


def test_predicting_the_mean_is_worth_nothing_and_a_constant_truth_has_no_score():
    assert ccc([1, 2, 3], [2, 2, 2]) == 0.0
    assert np.isnan(ccc([2, 2], [2, 2]))


def test_what_is_not_known_is_left_out():
    assert ccc([1, np.nan, 3, 4], [2, 9, 2, 5]) == ccc([1, 3, 4], [2, 2, 5])


def test_it_is_symmetric_and_ignores_a_common_scale_and_offset(scored):
    truth, (prediction, _), _ = scored
    assert ccc(truth, prediction) == pytest.approx(ccc(prediction, truth))
    assert ccc(10 * truth - 500, 10 * prediction - 500) == pytest.approx(ccc(truth, prediction))


@pytest.mark.parametrize(
    "truth, prediction, sentence",
    [
        ([1, 2], [1], "one value per utterance each, got shapes"),
        ([np.nan], [1], "no utterance with a known truth"),
        ([1, 2], [1, np.inf], "a prediction is not finite"),
    ],
)
def test_what_cannot_be_scored_is_refused(truth, prediction, sentence):
    with pytest.raises(ValueError, match=sentence):
        ccc(truth, prediction)


def test_interval_comes_near_that_of_every_redrawn_corpus(scored):
    truth, predictions, speaker = scored
    every = []
    for draw in product("abcd", repeat=4):
        rows = np.concatenate([np.flatnonzero(speaker == name) for name in draw])
        every.append(np.mean([ccc(truth[rows], prediction[rows]) for prediction in predictions]))
    found = speaker_bootstrap_ccc(truth, predictions, speaker, num_resamples=20_000)
    assert found.value == pytest.approx(np.mean([ccc(truth, prediction) for prediction in predictions]))
    assert [found.low, found.high] == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.15 * np.std(every))


def test_shares_average_to_one_minus_the_metric_and_so_does_their_gradient(scored):
    truth, predictions, _ = scored
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


def test_equal_constants_differ_by_nothing():
    same = torch.full((4, 2), 3.0, requires_grad=True)
    shares = discordances(same, same.detach())
    shares.sum().backward()
    assert not shares.any() and not same.grad.any()
