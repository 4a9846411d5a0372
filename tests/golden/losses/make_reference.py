"""Reference values of losses, gate and Adapter in NumPy float64, written from the equations.

python tests/golden/losses/make_reference.py       (NumPy 2.x)
"""

import json
from pathlib import Path

import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def main():
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
    values = dict(
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
    )
    stored = {name: np.asarray(value).tolist() for name, value in values.items()}
    Path(__file__).with_name("reference.json").write_text(json.dumps({"temperature": temperature, **stored}) + "\n")


if __name__ == "__main__":
    main()
