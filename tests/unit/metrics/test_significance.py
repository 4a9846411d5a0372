import numpy as np
import pytest

from akd_toolkit.metrics import holm, mcnemar_exact, speaker_permutation_test


def test_equal_systems_give_one_and_ten_speakers_who_all_gain_the_least_that_ten_can_give():
    totals = np.full((10, 2), 5.0)
    assert speaker_permutation_test(totals, totals - 1, totals) == 2 / 1024
    assert speaker_permutation_test(totals - 1, totals - 1, totals) == 1
    assert speaker_permutation_test(totals[:1], totals[:1] - 1, totals[:1]) == 1


def test_a_drawn_p_value_is_near_the_counted_one(monkeypatch):
    rng = np.random.default_rng(6)
    totals = np.full((14, 2), 8.0)
    hits_a, hits_b = (rng.integers(low, low + 6, size=(14, 2)).astype(float) for low in (3, 2))
    counted = speaker_permutation_test(hits_a, hits_b, totals, "wa")
    monkeypatch.setattr("akd_toolkit.metrics.significance.EXACT_SPEAKERS", 13)
    assert speaker_permutation_test(hits_a, hits_b, totals, "wa") == pytest.approx(counted, abs=0.02)


def test_mcnemar_counts_only_utterances_where_the_systems_differ():
    only_a, only_b, both = [1, 0], [0, 1], [1, 1]
    pairs = np.array([only_a] * 8 + [only_b] * 2 + [both] * 50)
    # 2 * (1 + 10 + 45) / 2^10
    assert mcnemar_exact(pairs[:, 0], pairs[:, 1]) == pytest.approx(112 / 1024)
    assert mcnemar_exact(pairs[:, 1], pairs[:, 0]) == pytest.approx(112 / 1024)
    assert mcnemar_exact([1, 0, 1], [1, 0, 1]) == 1
    assert mcnemar_exact([0.1 + 0.2], [0.3]) == 1  # a rounding error of a mean over seeds is not a difference
    with pytest.raises(ValueError, match="3 and 2"):
        mcnemar_exact([1, 0, 1], [1, 0])


def test_holm_equals_its_definition():
    p_values = np.random.default_rng(0).uniform(0, 0.2, size=9)
    for index, p in enumerate(holm(p_values)):
        smaller = sorted(p_values)[: sorted(p_values).index(p_values[index]) + 1]
        assert p == pytest.approx(min(1, max((9 - rank) * value for rank, value in enumerate(smaller))))
    assert holm([]).tolist() == [] and holm([0.6, 0.6]).tolist() == [1, 1]
