"""Fits against scikit-learn and the normal equations."""

import numpy as np
import pytest
import torch

from akd_toolkit.solvers import fit_classifier, minimise, ridge


def fitted(x, targets, shares, l2=1.0, classes=3):
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    fit_classifier(x, targets, shares, l2, weight, bias, steps=1000)
    return weight.detach(), bias.detach()


@pytest.fixture
def cloud():
    labels = torch.arange(60) % 3
    x = torch.randn(60, 5, dtype=torch.float64)
    x[torch.arange(60), labels] += 1
    return x, labels, torch.rand(60, dtype=torch.float64)


def test_classifier_equals_the_weighted_logistic_regression_of_scikit_learn(cloud):
    from sklearn.linear_model import LogisticRegression

    x, labels, shares = cloud
    weight, bias = fitted(x, labels, shares)
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x, labels, sample_weight=shares)
    np.testing.assert_allclose(weight, model.coef_, atol=1e-4)
    probs = torch.softmax(x @ weight.T + bias, dim=1)
    np.testing.assert_allclose(probs, model.predict_proba(x), atol=1e-5)


def test_soft_targets_are_as_many_weighted_hard_ones(cloud):
    x, _, shares = cloud
    soft = torch.softmax(torch.randn(60, 3, dtype=torch.float64), dim=1)
    every = torch.arange(3).repeat(60)
    repeated = fitted(x.repeat_interleave(3, dim=0), every, (soft * shares[:, None]).flatten())
    for one, other in zip(fitted(x, soft, shares), repeated):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_minimise_leaves_no_gradient_behind():
    x = torch.ones(2, requires_grad=True)
    minimise(lambda: (x - torch.tensor([1.0, 5.0])).square().sum(), [x], steps=20)
    assert x.grad is None
    torch.testing.assert_close(x.detach(), torch.tensor([1.0, 5.0]))


@pytest.mark.parametrize("rows", [5, 40])
def test_ridge_equals_the_normal_equations_whether_wide_or_tall(rows):
    random = np.random.default_rng(rows)
    x, y = random.standard_normal((rows, 8)), random.standard_normal((rows, 2))
    weight, bias = ridge(torch.tensor(x, dtype=torch.float), torch.tensor(y, dtype=torch.float), 0.3)
    centred = np.vstack([x - x.mean(0), np.sqrt(0.3 * rows) * np.eye(8)])  # the penalty as eight more rows
    expected = np.linalg.lstsq(centred, np.vstack([y - y.mean(0), np.zeros((8, 2))]), rcond=None)[0]
    np.testing.assert_allclose(weight.numpy().T, expected, atol=1e-5)
    np.testing.assert_allclose(bias.numpy(), y.mean(0) - x.mean(0) @ expected, atol=1e-5)
