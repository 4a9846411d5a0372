"""Heads against scikit-learn, plain loops and closed forms."""

import json

import numpy as np
import pytest
import torch

from akd_toolkit.teachers.crossfit import balanced_temperature
from akd_toolkit.teachers.head import Head, balanced_nll, class_balance, fit_heads, learn_layer_weights, leave_out_ridge

ORDER = ("a", "b", "c")


def clouds(n=90, layers=1, size=40):
    """Three unbalanced classes of points for six speakers: features [n, L, D], labels, speakers, label order."""
    labels = torch.arange(n) % 3
    labels[: n // 5] = 0
    features = torch.randn(n, layers, size)
    features[:, -1, :3] += 2 * torch.nn.functional.one_hot(labels, 3)
    return features, labels, [f"s{index % 6}" for index in range(n)], ORDER


def fit(features, *rest, views=(), l2=(0.01,)):
    return fit_heads([features, *views], *rest, l2)


@pytest.mark.parametrize("size", [40, 200])  # fewer and more features than utterances
def test_head_equals_the_balanced_logistic_regression_of_scikit_learn(size):
    from sklearn.linear_model import LogisticRegression

    features, labels, speakers, order = clouds(size=size)
    (head,) = fit(features, labels, speakers, order)
    x = features[:, 0].double().numpy()
    x = np.clip((x - x.mean(0)) / x.std(0), -5, 5) / np.sqrt(size)
    model = LogisticRegression(C=1 / 0.01, tol=1e-8, max_iter=5000)
    model.fit(x, labels.numpy(), sample_weight=class_balance(labels, order, speakers).numpy())
    expected = torch.log_softmax(torch.tensor(model.decision_function(x)), dim=-1)
    torch.testing.assert_close(torch.log_softmax(head.logits(features).double(), -1), expected, atol=2e-3, rtol=1e-3)


def test_logits_equal_the_formula_in_plain_loops():
    data = clouds(n=30, layers=2, size=5)
    (head,) = fit(*data)
    one = data[0][7]
    for c in range(3):
        total = head.bias[c].item()
        for layer in range(2):
            for d in range(5):
                z = (one[layer, d] - head.mean[layer, d]) / head.deviation[layer, d]
                total += float(head.weight[c, layer, d] * head.layer_weights[layer].sqrt() * z.clamp(-5, 5)) / 5**0.5
        assert head.logits(data[0])[7, c].item() == pytest.approx(total, abs=1e-5)


def test_layer_weights_go_to_the_informative_layer_and_the_same_fit_gives_the_same_bits():
    data = clouds(layers=3)
    (head,), (again,) = fit(*data), fit(*data)
    assert head.layer_weights[2] > 0.6 and head.layer_weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(head.weight, again.weight) and torch.equal(head.layer_weights, again.layer_weights)


def test_a_layer_that_only_contains_each_speakers_own_code_gets_no_weight():
    # Layer 0 separates the classes perfectly, but by a code of each speaker's own; layer 1 is noisy and general.
    n = 120
    labels, names = torch.arange(n) % 3, np.array([f"s{index % 8}" for index in range(n)])
    features = torch.randn(n, 2, 24)
    for index in range(n):
        features[index, 0] = 0.01 * torch.randn(24)
        code = (int(labels[index]) + int(names[index][1:])) % 3
        features[index, 0, 3 * int(names[index][1:]) + code] = 5.0
    features[:, 1, :3] += 2 * torch.nn.functional.one_hot(labels, 3)
    standard = (features - features.mean(0)) / features.std(0)
    assert learn_layer_weights(standard, labels, names, class_balance(labels, ORDER, ()))[1] > 0.8


def test_leaving_out_groups_equals_refitting_without_them():
    n, groups = 12, [torch.tensor([0, 3, 4]), torch.tensor([1, 2]), torch.tensor([5, 6, 7, 8, 9, 10, 11])]
    inputs, targets, ridge = torch.randn(n, 20).double(), torch.randn(n, 3).double(), torch.rand(n).double() + 0.5
    kernel = inputs @ inputs.T
    predicted = leave_out_ridge(kernel, targets, ridge, groups)
    for rows in groups:
        others = torch.tensor([index for index in range(n) if index not in rows.tolist()])
        system = kernel[others][:, others] + torch.diag(ridge[others])
        expected = kernel[rows][:, others] @ torch.linalg.solve(system, targets[others])
        torch.testing.assert_close(predicted[rows], expected)


def test_temperature_is_the_best_of_a_fine_grid():
    logits, labels = 5 * torch.randn(60, 4), torch.arange(60) % 4
    logits[torch.arange(60), labels] += 4
    balance = class_balance(labels, "abcd", ())
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4000))
    losses = [balanced_nll(logits.double() / t, labels, balance) for t in grid]
    assert balanced_temperature(logits, labels, balance) == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)


def test_a_constant_feature_is_left_out():
    features, *rest = clouds()
    features[:, :, 5] = 1e6
    (head,) = fit(features, *rest)
    moved = features.clone()
    moved[:, :, 5] = -3e7  # an accident of one recording
    assert torch.equal(head.logits(features), head.logits(moved))


@pytest.mark.parametrize("size", [40, 200])
def test_heads_of_several_penalties_are_those_of_single_fits(size):
    data = clouds(size=size)
    together = fit(*data, l2=[0.1, 0.01])
    for head in together:
        (alone,) = fit(*data, l2=[head.l2])
        torch.testing.assert_close(head.logits(data[0]), alone.logits(data[0]), atol=5e-3, rtol=5e-3)
    assert not torch.allclose(together[0].weight, together[1].weight, atol=1e-2)


def test_views_are_examples_of_the_same_utterance():
    features, labels, *rest = clouds()
    (once,), (twice,) = fit(features, labels, *rest), fit(features, labels, *rest, views=[features])
    torch.testing.assert_close(once.logits(features), twice.logits(features), atol=2e-3, rtol=1e-3)
    copies = features.clone()
    copies[:, :, :3], copies[:, :, 3:6] = features[:, :, 3:6], features[:, :, :3]  # the information lies elsewhere
    (both,) = fit(features, labels, *rest, views=[copies])
    right = [(head.logits(copies).argmax(-1) == labels).float().mean() for head in (once, both)]
    assert right[1] > right[0] + 0.1


def test_class_without_an_utterance_is_refused():
    features, labels, speakers, _ = clouds()
    with pytest.raises(ValueError, match=r"s0, .* no utterance of d"):
        fit(features, labels, speakers, (*ORDER, "d"))


def test_head_is_read_as_it_was_written_and_only_with_its_label_order(tmp_path):
    data = clouds(layers=2)
    (head,) = fit(*data)
    head.write(tmp_path / "head.safetensors")
    again = Head.read(tmp_path / "head.safetensors", ORDER)
    assert torch.equal(head.logits(data[0]), again.logits(data[0])) and again.trained_on == head.trained_on
    assert json.loads((tmp_path / "head.json").read_text())["heard"] == [f"s{index}" for index in range(6)]
    with pytest.raises(ValueError, match=r"head.* \[a, b, c\] and \[b, a, c\]"):
        Head.read(tmp_path / "head.safetensors", ("b", "a", "c"))
