"""Reference values of everything that uses concordance, by loops over Lin's definition. NumPy 2.x.

python tests/golden/concordance/make_reference.py
"""

import json
from pathlib import Path

import numpy as np


def ccc(t, p):
    """Lin 1989 by the long way: one minus the expected squared difference over that of independent pairs."""
    n = len(t)
    together = sum((t[i] - p[i]) ** 2 for i in range(n)) / n
    independent = sum((t[i] - p[j]) ** 2 for i in range(n) for j in range(n)) / n**2
    return 1 - together / independent


def mean_ccc(truth, prediction):
    """Mean over attributes of the CCC over their known utterances."""
    values = []
    for t, p in zip(truth.T, prediction.T):
        known = [i for i in range(len(t)) if not np.isnan(t[i])]
        values.append(ccc(t[known], p[known]))
    return sum(values) / len(values)


def main():
    rng = np.random.default_rng(20260301)
    batch, attributes, teachers = 9, 3, 2
    truth = rng.normal(3, 1, (batch, attributes))
    student = 0.5 * truth + rng.normal(1, 0.7, (batch, attributes))
    predicted = 0.8 * truth + rng.normal(0.5, 0.4, (teachers, batch, attributes))
    weights = rng.dirichlet([1.0] * teachers, batch).T
    trusted = sum(weights[m][:, None] * predicted[m] for m in range(teachers))
    partly = truth.copy()
    partly[0] = np.nan  # an utterance of which nothing is known
    partly[[3, 4, 7], 1] = np.nan  # and some of which one attribute is not
    gamma = 1 - mean_ccc(partly, trusted)
    values = dict(
        truth=truth,
        partly_known=[[None if np.isnan(value) else value for value in row] for row in partly],
        student=student,
        teachers=predicted,
        weights=weights,
        ccc_of_attributes=[ccc(t, p) for t, p in zip(truth.T, student.T)],
        concordance_mean=1 - mean_ccc(truth, student),
        concordance_mean_of_known=1 - mean_ccc(partly, student),
        teacher_concordance_mean=1 - mean_ccc(trusted, student),
        gate_open=1 - gamma,
    )
    stored = {name: value if isinstance(value, list) else np.asarray(value).tolist() for name, value in values.items()}
    Path(__file__).with_name("reference.json").write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
