"""Every score equals a naive loop over the rows of two invented systems."""

import csv
import math
from itertools import product

import numpy as np
import pytest

from akd_toolkit.evaluate.report.summary import compare, summarise
from akd_toolkit.experiment.scores_file import read_scores

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


@pytest.fixture(scope="module")
def systems():
    return invent(2, 1.6), invent(3, 1.6)


@pytest.fixture(scope="module")
def tables(systems, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    for name, rows in zip("ab", systems):
        write(folder / f"{name}.csv", rows)
    return [read_scores(folder / f"{name}.csv") for name in "ab"]


@pytest.fixture(scope="module")
def summary(tables):
    return summarise(tables[0], LABELS)


@pytest.fixture(scope="module")
def comparison(tables):
    return compare(*tables)


@pytest.fixture(scope="module")
def reference(systems):
    a, b = systems
    folds = sorted(set(FOLD_OF.values()))
    return {
        "wa_pooled": over_seeds(wa, a),
        "ua_pooled": over_seeds(ua, a),
        "macro_f1": over_seeds(macro_f1, a),
        "ece": over_seeds(ece, a),
        "ua_seed_std": np.std([ua([row for row in a if row[3] == seed]) for seed in SEEDS], ddof=1),
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


@pytest.mark.parametrize("name", ["wa_pooled", "ua_pooled", "macro_f1", "ece", "ua_seed_std"])
def test_pooled_scores_equal_the_loops(summary, reference, name):
    assert summary[name] == pytest.approx(reference[name], abs=1e-12)


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_fold_scores_equal_the_loops(summary, reference, score):
    of_folds = reference[f"{score}_of_folds"]
    assert summary["fold_table"][score].tolist() == pytest.approx(of_folds, abs=1e-12)
    assert summary[f"{score}_mean"] == pytest.approx(np.mean(of_folds), abs=1e-12)
    assert summary[f"{score}_std"] == pytest.approx(np.std(of_folds, ddof=1), abs=1e-12)


def test_tables_by_class_and_speaker_and_the_confusion_equal_the_loops(summary, reference):
    assert summary["class_table"]["recall"].tolist() == pytest.approx(list(reference["recalls"].values()), abs=1e-12)
    of_speakers = dict(zip(summary["speaker_table"]["speaker"], summary["speaker_table"]["ua"], strict=True))
    assert of_speakers == pytest.approx(reference["ua_of_speakers"], abs=1e-12)
    assert np.array_equal(summary["confusion"], reference["confusion"])


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_intervals_differences_and_p_values_equal_the_loops(summary, comparison, reference, score):
    assert [summary[f"{score}_low"], summary[f"{score}_high"]] == pytest.approx(reference[f"interval_{score}"])
    assert comparison[f"{score}_difference"] == pytest.approx(reference[f"difference_{score}"], abs=1e-12)
    limits = [comparison[f"{score}_low"], comparison[f"{score}_high"]]
    assert limits == pytest.approx(reference[f"paired_interval_{score}"])
    assert comparison[f"{score}_p"] == reference[f"permutation_p_{score}"]


def test_sign_test_over_utterances_equals_the_sum_of_binomials(comparison, reference):
    assert comparison["mcnemar_p"] == pytest.approx(reference["sign_test_p"], rel=1e-12)
