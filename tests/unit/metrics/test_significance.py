from itertools import product

import numpy as np
import pytest

from akd_toolkit.metrics import mcnemar_exact, speaker_permutation_test
from akd_toolkit.metrics.intervals import pooled_ua


def test_swapping_by_sums_equals_swapping_the_hits_themselves():
    rng = np.random.default_rng(5)
    totals = rng.integers(2, 9, size=(6, 3)).astype(float)
    hits_a, hits_b = (np.floor(rng.random((6, 3)) * (totals + 1)) for _ in range(2))
    everyone = totals.sum(axis=0)
    observed = abs(pooled_ua(hits_a.sum(axis=0), everyone) - pooled_ua(hits_b.sum(axis=0), everyone))
    extreme = 0
    for swapped in product([False, True], repeat=6):
        mask = np.array(swapped)[:, None]
        a, b = np.where(mask, hits_b, hits_a), np.where(mask, hits_a, hits_b)
        difference = pooled_ua(a.sum(axis=0), everyone) - pooled_ua(b.sum(axis=0), everyone)
        extreme += abs(difference) >= observed - 1e-12
    assert speaker_permutation_test(hits_a, hits_b, totals) == extreme / 2**6


def test_ten_speakers_who_all_gain_give_the_smallest_value_that_ten_can_give():
    totals = np.full((10, 2), 5.0)
    assert speaker_permutation_test(totals, totals - 1, totals) == 2 / 1024


def test_systems_that_are_alike_are_not_told_apart():
    totals = np.full((4, 2), 5.0)
    assert speaker_permutation_test(totals - 1, totals - 1, totals) == 1


def test_many_speakers_are_drawn_and_never_give_zero():
    totals = np.full((40, 1), 5.0)
    assert speaker_permutation_test(totals, totals - 1, totals, num_resamples=999) == 1 / 1000


def test_drawn_value_comes_near_the_counted_one(monkeypatch):
    rng = np.random.default_rng(6)
    totals = np.full((12, 2), 8.0)
    hits_a, hits_b = (
        rng.integers(3, 9, size=(12, 2)).astype(float),
        rng.integers(2, 8, size=(12, 2)).astype(float),
    )
    counted = speaker_permutation_test(hits_a, hits_b, totals, "wa")
    monkeypatch.setattr("akd_toolkit.metrics.significance.EXACT_SPEAKERS", 0)
    drawn = speaker_permutation_test(hits_a, hits_b, totals, "wa", num_resamples=20_000)
    assert drawn == pytest.approx(counted, abs=0.02)


def test_mcnemar_counts_only_utterances_where_the_systems_differ():
    only_a, only_b, both = [1, 0], [0, 1], [1, 1]
    pairs = np.array([only_a] * 8 + [only_b] * 2 + [both] * 50)
    # 2 * (1 + 10 + 45) / 2^10
    assert mcnemar_exact(pairs[:, 0], pairs[:, 1]) == pytest.approx(112 / 1024)
    assert mcnemar_exact(pairs[:, 1], pairs[:, 0]) == pytest.approx(112 / 1024)


def test_mcnemar_of_equal_systems_is_one():
    assert mcnemar_exact([1, 0, 1], [1, 0, 1]) == 1


def test_mcnemar_does_not_take_rounding_of_a_mean_over_seeds_for_a_difference():
    assert mcnemar_exact([0.1 + 0.2], [0.3]) == 1


def test_mcnemar_refuses_other_utterances():
    with pytest.raises(ValueError, match="same utterances, got 3 and 2"):
        mcnemar_exact([1, 0, 1], [1, 0])
