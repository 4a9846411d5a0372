"""Reference values of gates and weightings in NumPy float64, written from the equations.

python tests/golden/gates/make_reference.py       (NumPy 2.x)
"""

import json
from pathlib import Path

import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def main():
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
    stored = {name: np.asarray(value).tolist() for name, value in values.items()}
    Path(__file__).with_name("reference.json").write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
