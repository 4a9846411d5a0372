"""Losses, gate, Adapter and objective against NumPy float64, written from the equations."""

import numpy as np
import pytest
import torch

from akd_toolkit.distill.objective import build_objective
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES, LOSSES, WEIGHTINGS


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def kl(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q))


def huber(difference):
    return difference**2 / 2 if abs(difference) <= 1 else abs(difference) - 0.5


def decoupled_kl(p_t, p_s, y, alpha, beta):
    others = [c for c in range(len(p_s)) if c != y]
    binary = kl((p_t[y], 1 - p_t[y]), (p_s[y], 1 - p_s[y]))
    return alpha * binary + beta * kl(p_t[others] / (1 - p_t[y]), p_s[others] / (1 - p_s[y]))


def standardized(z):
    return (z - z.mean()) / np.sqrt(((z - z.mean()) ** 2).mean())


def intra_parts(p_s, p_t):
    """Each utterance's part of the mean over classes of 1 - Pearson over the batch."""
    batch, classes = p_s.shape
    parts = np.zeros(batch)
    for c in range(classes):
        u, v = standardized(p_s[:, c]) / np.sqrt(batch), standardized(p_t[:, c]) / np.sqrt(batch)
        for b in range(batch):
            parts[b] += batch / classes * (u[b] - v[b]) ** 2 / 2
    return parts


def angle(x, i, j, k):
    e_ij, e_kj = (x[i] - x[j]) / np.linalg.norm(x[i] - x[j]), (x[k] - x[j]) / np.linalg.norm(x[k] - x[j])
    return float((e_ij * e_kj).sum())


def angle_relation(x_s, x_t):  # (9)-(10)
    batch = len(x_s)
    values = np.zeros(batch)
    for j in range(batch):
        pairs = [(i, k) for i in range(batch) for k in range(batch) if len({i, j, k}) == 3]
        values[j] = np.mean([huber(angle(x_s, i, j, k) - angle(x_t, i, j, k)) for i, k in pairs])
    return values


def distance_relation(x_s, x_t):
    batch = len(x_s)
    pairs = [(i, j) for i in range(batch) for j in range(batch) if i != j]
    far_s = {(i, j): np.linalg.norm(x_s[i] - x_s[j]) for i, j in pairs}
    far_t = {(i, j): np.linalg.norm(x_t[i] - x_t[j]) for i, j in pairs}
    mean_s, mean_t = np.mean(list(far_s.values())), np.mean(list(far_t.values()))
    values = np.zeros(batch)
    for i, j in pairs:
        values[i] += huber(far_s[i, j] / mean_s - far_t[i, j] / mean_t) / (batch - 1)
    return values


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(20260101)
    batch, classes, teachers, frames, dim, temperature = 6, 5, 3, 7, 4, 2.5
    z_s = rng.normal(0, 2, (batch, classes))
    z_t = rng.normal(0, 3, (teachers, batch, classes))
    labels = rng.integers(0, classes, batch)
    maps = rng.normal(0, 1, (batch, frames, dim))
    theta = rng.normal(0, 1, (teachers, dim))
    v = rng.normal(0, 1, dim)

    a = maps.max(axis=1)  # (5)
    s = np.array(
        [[sum(v[d] * theta[t, d] * a[i, d] for d in range(dim)) for i in range(batch)] for t in range(teachers)]
    )
    w = softmax(s, axis=0)  # (6)
    p_s, p_t = softmax(z_s / temperature), softmax(z_t / temperature)
    mixture = (w[:, :, None] * p_t).sum(axis=0)  # (7)
    integrated = temperature**2 * (mixture * (np.log(mixture) - np.log(p_s))).sum(axis=1)  # (8)
    plain = temperature**2 * (p_t * (np.log(p_t) - np.log(p_s))).sum(axis=2).mean(axis=0)  # (2)-(4)
    rows = np.arange(batch)
    cross_entropy = -np.log(softmax(z_s)[rows, labels])  # (1)
    true_probs = (w[:, :, None] * softmax(z_t)).sum(axis=0)[rows, labels]
    gamma = 1 - true_probs  # (12)
    gate = 1 - np.where(gamma <= 0.8, gamma, 1.0)  # (13), theta = 0.8
    total = (cross_entropy + gate * (0.7 * integrated + 0.2 * plain) - np.log(true_probs)).mean()

    x_s = rng.normal(0, 1, (batch, 3))
    x_t = [rng.normal(0, 1, (batch, 2 + 2 * t)) for t in range(teachers)]
    standard_s = softmax(np.array([standardized(z) for z in z_s]) / temperature)
    standard_t = sum(
        w[t][:, None] * softmax(np.array([standardized(z) for z in z_t[t]]) / temperature) for t in range(teachers)
    )
    z_mean = (w[:, :, None] * z_t).sum(axis=0)
    soft = dict(
        student_embedding=x_s,
        **{f"teacher_embedding_{t}": x_t[t] for t in range(teachers)},
        decoupled_kl=[temperature**2 * decoupled_kl(mixture[b], p_s[b], labels[b], alpha=1.5, beta=4.0) for b in rows],
        logit_mse=[np.mean(((z_s[b] - z_s[b].mean()) - (z_mean[b] - z_mean[b].mean())) ** 2) for b in rows],
        logit_mse_not_centred=[np.mean((z_s[b] - z_mean[b]) ** 2) for b in rows],
        standardized_logit_kl=[temperature**2 * kl(standard_t[b], standard_s[b]) for b in rows],
        dist_inter=[1 - np.corrcoef(p_s[b], mixture[b])[0, 1] for b in rows],
        dist_intra=intra_parts(p_s, mixture),
        angle_relation_soft_targets=angle_relation(p_s, mixture),
        angle_relation_embedding=sum(w[t] * angle_relation(x_s, x_t[t]) for t in range(teachers)),
        distance_relation_soft_targets=distance_relation(p_s, mixture),
        distance_relation_embedding=sum(w[t] * distance_relation(x_s, x_t[t]) for t in range(teachers)),
    )
    values = dict(
        temperature=temperature,
        student_logits=z_s,
        teacher_logits=z_t,
        labels=labels,
        frames=maps,
        factors=theta,
        shared=v,
        weights=w,
        integrated_soft_targets=integrated,
        soft_target_kl=plain,
        cross_entropy=cross_entropy,
        gate=gate,
        total=total,
        **soft,
    )
    return {name: torch.tensor(np.asarray(value).tolist()) for name, value in values.items()}


@pytest.fixture
def models(reference):
    student = ModelOutput(
        reference["student_logits"], embedding=reference["student_embedding"], frames=reference["frames"]
    )
    embedding = tuple(reference[f"teacher_embedding_{t}"] for t in range(3))
    teacher = TeacherOutput(reference["teacher_logits"], embedding=embedding, names=("a", "b", "c"))
    return student, teacher, reference["labels"]


def fill(adapter, reference):
    with torch.no_grad():
        adapter.factors.copy_(reference["factors"])
        adapter.shared.copy_(reference["shared"])
    return adapter


def test_adapter_weights_equal_the_reference(reference, models):
    adapter = fill(WEIGHTINGS.build("adapter", num_teachers=3, student_frame_dim=4), reference)
    torch.testing.assert_close(adapter(*models), reference["weights"])


@pytest.mark.parametrize("name", ["cross_entropy", "soft_target_kl", "integrated_soft_targets"])
def test_loss_equals_the_reference(name, reference, models):
    student, teacher, labels = models
    options = {} if name == "cross_entropy" else {"temperature": float(reference["temperature"])}
    values = LOSSES.build(name, **options)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("stored", "name", "options"),
    [
        ("decoupled_kl", "decoupled_kl", {"alpha": 1.5, "beta": 4.0}),
        ("standardized_logit_kl", "standardized_logit_kl", {}),
        ("dist_inter", "dist", {"beta": 1.0, "gamma": 0.0}),
        ("dist_intra", "dist", {"beta": 0.0, "gamma": 1.0}),
        ("angle_relation_soft_targets", "angle_relation", {}),
        ("angle_relation_embedding", "angle_relation", {"space": "embedding"}),
        ("distance_relation_soft_targets", "distance_relation", {}),
        ("distance_relation_embedding", "distance_relation", {"space": "embedding"}),
    ],
)
def test_softened_loss_of_several_teachers_equals_the_reference(stored, name, options, reference, models):
    student, teacher, labels = models
    loss = LOSSES.build(name, temperature=float(reference["temperature"]), **options)
    values = loss(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[stored], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("stored", "centred"), [("logit_mse", True), ("logit_mse_not_centred", False)])
def test_logit_mse_equals_the_reference(stored, centred, reference, models):
    student, teacher, labels = models
    values = LOSSES.build("logit_mse", centred=centred)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference[stored], rtol=1e-5, atol=1e-6)


def test_gate_equals_the_reference_and_is_both_shut_and_open_there(reference, models):
    student, teacher, labels = models
    values = GATES.build("teacher_error", theta=0.8)(student, teacher.weighted(reference["weights"]), labels)
    torch.testing.assert_close(values, reference["gate"], rtol=1e-5, atol=1e-6)
    assert (reference["gate"] == 0).any() and (reference["gate"] > 0.2).any()


def test_objective_equals_the_reference(reference, models):
    temperature = float(reference["temperature"])
    objective = build_objective(
        {
            "task": {"name": "cross_entropy", "weight": 1.0},
            "distill": [
                {"name": "integrated_soft_targets", "weight": 0.7, "temperature": temperature},
                {"name": "soft_target_kl", "weight": 0.2, "temperature": temperature},
            ],
            "weighting": {"name": "adapter"},
            "gate": {"name": "teacher_error", "theta": 0.8},
        },
        num_teachers=3,
        student_frame_dim=4,
    )
    fill(objective.weighting, reference)
    result = objective(*models)
    torch.testing.assert_close(result.total, reference["total"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.parts["soft_target_kl"], reference["soft_target_kl"].mean())
    torch.testing.assert_close(result.weights, reference["weights"])
