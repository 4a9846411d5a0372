"""Gates and weightings against NumPy float64, written from the equations."""

import numpy as np
import pytest
import torch

from akd_toolkit.distill.gates import TeacherAgreement, TeacherCorrect, TeacherEntropy
from akd_toolkit.distill.weightings import BestSingle, ValidationAccuracy
from akd_toolkit.outputs import ModelOutput, TeacherOutput


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(20260201)
    batch, classes, teachers, theta, temperature = 8, 5, 3, 0.7, 0.08
    z = rng.normal(0, 2.5, (teachers, batch, classes))
    z[:, 0] = z[0, 0]  # all teachers say the same of the first utterance
    w = softmax(rng.normal(0, 1, (teachers, batch)), axis=0)
    accuracies = np.array([0.62, 0.75, 0.71])
    p = softmax(z)
    mixture = np.einsum("tb,tbc->bc", w, p)
    labels = np.where(np.arange(batch) % 3 == 0, mixture.argmin(axis=1), mixture.argmax(axis=1))

    correct = np.array([1.0 if mixture[b].argmax() == labels[b] else 0.0 for b in range(batch)])
    h = np.array([-sum(mixture[b, c] * np.log(mixture[b, c]) for c in range(classes)) for b in range(batch)])
    h = h / np.log(classes)
    entropy = np.where(h <= theta, 1 - h, 0.0)
    # The divergence as a mean of Kullback-Leibler divergences from the mixture, not as a difference of entropies.
    divergence = np.array(
        [sum(w[t, b] * (p[t, b] * np.log(p[t, b] / mixture[b])).sum() for t in range(teachers)) for b in range(batch)]
    )
    beta = np.exp(-1 / temperature)  # Hedge: beta to the power of the error
    hedge = beta ** (1 - accuracies) / (beta ** (1 - accuracies)).sum()
    values = dict(
        theta=theta,
        temperature=temperature,
        teacher_logits=z,
        weights=w,
        labels=labels,
        teacher_accuracies=accuracies,
        teacher_correct=correct,
        teacher_entropy=entropy,
        teacher_agreement=1 - divergence / np.log(min(teachers, classes)),
        validation_accuracy=np.repeat(hedge[:, None], batch, axis=1),
        best_single=np.repeat(np.eye(teachers)[1][:, None], batch, axis=1),
    )
    return {name: torch.tensor(np.asarray(value).tolist()) for name, value in values.items()}


@pytest.fixture
def outputs(reference):
    logits = reference["teacher_logits"]
    return ModelOutput(torch.zeros(logits.shape[1:])), TeacherOutput(logits, weights=reference["weights"])


def test_gates_equal_the_reference(reference, outputs):
    gates = {
        "teacher_correct": TeacherCorrect(),
        "teacher_entropy": TeacherEntropy(theta=float(reference["theta"])),
        "teacher_agreement": TeacherAgreement(),
    }
    for name, gate in gates.items():
        values = gate(*outputs, reference["labels"])
        torch.testing.assert_close(values, reference[name], rtol=1e-5, atol=1e-6)


def test_the_reference_has_open_and_shut_gates_and_full_agreement(reference):
    for name in ("teacher_correct", "teacher_entropy"):
        assert (reference[name] == 0).any() and (reference[name] > 0.3).any()
    assert reference["teacher_agreement"][0] == 1 and reference["teacher_agreement"].min() < 0.6


def test_weightings_equal_the_reference(reference, outputs):
    accuracies = reference["teacher_accuracies"].tolist()
    by_accuracy = ValidationAccuracy(accuracies, temperature=float(reference["temperature"]))
    torch.testing.assert_close(by_accuracy(*outputs, reference["labels"]), reference["validation_accuracy"])
    torch.testing.assert_close(BestSingle(accuracies)(*outputs, reference["labels"]), reference["best_single"])
