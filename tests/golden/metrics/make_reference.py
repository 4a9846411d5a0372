"""Invent the scores.csv of two systems and compute reference values by loops. Python 3.11, numpy 2.4.6."""

import csv
import json
import math
from itertools import product
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
LABELS = ["anger", "boredom", "fear", "neutral"]
FOLD_OF = {"03": 0, "08": 0, "09": 1, "10": 1, "11": 2}
SEEDS = [17, 18]
NUM_BINS = 15
T_975_4 = 2.7764451051977987  # Student's t of 4 degrees of freedom, from a table


def invent(system, skill):
    """Rows of one system; speaker 08 has no utterance of fear, as in EmoDB a speaker lacks a class."""
    corpus, rng = np.random.default_rng(1), np.random.default_rng(system)
    utterances = []
    for speaker, fold in FOLD_OF.items():
        for index in range(int(corpus.integers(14, 22))):
            label = LABELS[corpus.choice(4, p=[0.4, 0.3, 0.1, 0.2])]
            if not (speaker == "08" and label == "fear"):
                utterances.append((f"{speaker}x{index:02d}", speaker, fold, label))
    rows = []
    for seed in SEEDS:
        for name, speaker, fold, label in utterances:
            logits = rng.normal(size=4)
            logits[LABELS.index(label)] += skill
            probs = np.round(np.exp(logits) / np.exp(logits).sum(), 4)
            rows.append([name, speaker, fold, seed, label, LABELS[int(probs.argmax())], *probs.tolist()])
    return rows


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ID", "speaker", "fold", "seed", "truth", "prediction", *(f"p_{label}" for label in LABELS)])
        writer.writerows(rows)


def wa(rows):
    return sum(row[4] == row[5] for row in rows) / len(rows)


def recalls(rows):
    found = {}
    for label in LABELS:
        of_class = [row for row in rows if row[4] == label]
        if of_class:
            found[label] = sum(row[5] == label for row in of_class) / len(of_class)
    return found


def ua(rows):
    found = recalls(rows)
    return sum(found.values()) / len(found)


def macro_f1(rows):
    values = []
    for label in recalls(rows):
        hits = sum(row[4] == label and row[5] == label for row in rows)
        precision = hits / max(1, sum(row[5] == label for row in rows))
        recall = hits / sum(row[4] == label for row in rows)
        values.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(values) / len(values)


def ece(rows):
    total = 0.0
    for k in range(NUM_BINS):
        inside = [row for row in rows if k / NUM_BINS < max(row[6:]) <= (k + 1) / NUM_BINS]
        if inside:
            confidence = sum(max(row[6:]) for row in inside) / len(inside)
            total += len(inside) / len(rows) * abs(wa(inside) - confidence)
    return total


def over_seeds(score, rows):
    values = [score([row for row in rows if row[3] == seed]) for seed in SEEDS]
    return sum(values) / len(values)


def of_fold(score, rows, fold):
    return over_seeds(score, [row for row in rows if row[2] == fold])


def interval(score, *systems):
    """Jackknife t interval of a score, or of the difference of two systems."""

    def value(without=None):
        scored = [over_seeds(score, [row for row in rows if row[1] != without]) for rows in systems]
        return scored[0] - scored[1] if len(scored) == 2 else scored[0]

    count = len(FOLD_OF)
    left_out = [value(without=name) for name in FOLD_OF]
    mean = sum(left_out) / count
    half = T_975_4 * math.sqrt((count - 1) / count * sum((one - mean) ** 2 for one in left_out))
    return [value() - half, value() + half]


def permutation_p(score, rows_a, rows_b):
    observed = abs(over_seeds(score, rows_a) - over_seeds(score, rows_b))
    extreme = 0
    for swapped in product([False, True], repeat=len(FOLD_OF)):
        swap = dict(zip(FOLD_OF, swapped))
        mixed_a = [row for row in rows_a if not swap[row[1]]] + [row for row in rows_b if swap[row[1]]]
        mixed_b = [row for row in rows_b if not swap[row[1]]] + [row for row in rows_a if swap[row[1]]]
        extreme += abs(over_seeds(score, mixed_a) - over_seeds(score, mixed_b)) >= observed - 1e-12
    return extreme / 2 ** len(FOLD_OF)


def sign_test_p(rows_a, rows_b):
    def right(rows):
        counted = {}
        for row in rows:
            counted[row[0]] = counted.get(row[0], 0) + (row[4] == row[5])
        return counted

    a, b = right(rows_a), right(rows_b)
    wins, losses = sum(a[name] > b[name] for name in a), sum(a[name] < b[name] for name in a)
    n = wins + losses
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n)


def main():
    a, b = invent(2, 1.6), invent(3, 1.6)
    write(HERE / "scores_a.csv", a)
    write(HERE / "scores_b.csv", b)
    folds = sorted(set(FOLD_OF.values()))
    reference = {
        "label_order": LABELS,
        "wa_pooled": over_seeds(wa, a),
        "ua_pooled": over_seeds(ua, a),
        "macro_f1": over_seeds(macro_f1, a),
        "ece": over_seeds(ece, a),
        "recalls": {label: over_seeds(lambda rows, label=label: recalls(rows)[label], a) for label in LABELS},
        "wa_of_folds": [of_fold(wa, a, fold) for fold in folds],
        "ua_of_folds": [of_fold(ua, a, fold) for fold in folds],
        "ua_of_speakers": {name: over_seeds(ua, [row for row in a if row[1] == name]) for name in FOLD_OF},
        "confusion": [
            [sum(row[4] == true and row[5] == guess for row in a) / len(SEEDS) for guess in LABELS] for true in LABELS
        ],
        "interval_wa": interval(wa, a),
        "interval_ua": interval(ua, a),
        "difference_wa": over_seeds(wa, a) - over_seeds(wa, b),
        "difference_ua": over_seeds(ua, a) - over_seeds(ua, b),
        "paired_interval_wa": interval(wa, a, b),
        "paired_interval_ua": interval(ua, a, b),
        "permutation_p_wa": permutation_p(wa, a, b),
        "permutation_p_ua": permutation_p(ua, a, b),
        "sign_test_p": sign_test_p(a, b),
    }
    (HERE / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main()
