import numpy as np
import pytest
from scipy.special import expit

from akd_toolkit.metrics import ccc, ccc_interval, paired_speaker_interval, speaker_counts, speaker_interval
from akd_toolkit.metrics.intervals import SCORES, group_gap_interval, jackknife_interval

SPEAKERS, CLASSES = 6, 3


@pytest.fixture
def corpus():
    """Truth, prediction and speaker of 120 utterances; some speakers are recognised better than others."""
    rng = np.random.default_rng(4)
    speaker, truth = rng.integers(SPEAKERS, size=120), rng.integers(CLASSES, size=120)
    right = rng.random(120) < 0.4 + 0.1 * speaker
    return truth, np.where(right, truth, (truth + 1) % CLASSES), speaker


@pytest.fixture
def counts(corpus):
    truth, prediction, speaker = corpus
    return speaker_counts(truth == prediction, truth, speaker, CLASSES)


def simulated_counts(rng, num_speakers, shift=0.0):
    """Counts of new speakers, 5 to 15 utterances of each of 5 classes, who differ in how well they are recognised."""
    recalls = expit(0.4 + shift + 0.8 * rng.standard_normal((num_speakers, 1)) + np.linspace(-0.7, 0.7, 5))
    totals = rng.integers(5, 16, size=recalls.shape).astype(float)
    return rng.binomial(totals.astype(int), recalls).astype(float), totals


@pytest.mark.parametrize("num_speakers", [4, 10])
def test_intervals_cover_the_true_score_of_new_speakers_at_their_nominal_level(num_speakers):
    rng = np.random.default_rng(0)
    true_ua = expit(0.4 + 0.8 * rng.standard_normal((200_000, 1)) + np.linspace(-0.7, 0.7, 5)).mean()
    hits = 0
    for _ in range(2000):
        interval = speaker_interval(*simulated_counts(rng, num_speakers))
        hits += interval.low <= true_ua <= interval.high
    assert 0.935 < hits / 2000 < 0.965  # a percentile bootstrap covers 80 % with 4 speakers and 90 % with 10


def test_paired_and_group_intervals_cover_zero_as_often_as_they_say():
    rng = np.random.default_rng(1)
    paired, gap = 0, 0
    women = np.arange(10) < 4
    for _ in range(1000):
        hits, totals = simulated_counts(rng, 10)
        interval = paired_speaker_interval(hits, rng.binomial(totals.astype(int), hits / totals), totals)
        paired += interval.low <= 0 <= interval.high
        interval = group_gap_interval(hits, totals, women, ~women)
        gap += interval.low <= 0 <= interval.high
    assert 0.93 < paired / 1000 < 0.97 and 0.93 < gap / 1000 < 0.97


def test_ccc_interval_equals_leaving_out_each_speaker_by_a_loop():
    random = np.random.default_rng(4)
    truth, speaker = random.normal(3, 1, 20), np.repeat(["a", "b", "c", "d"], 5)
    predictions = 0.7 * truth + random.normal(1, 0.5, (2, 20))
    left_out = [np.mean([ccc(truth[rows], p[rows]) for p in predictions]) for rows in (speaker != s for s in "abcd")]
    expected = jackknife_interval(np.mean([ccc(truth, p) for p in predictions]), np.array(left_out), bounds=(-1, 1))
    assert ccc_interval(truth, predictions, speaker) == pytest.approx(expected)


def test_paired_interval_is_zero_for_equal_systems_and_changes_sign_with_their_order(counts):
    hits, totals = counts
    better = np.minimum(hits + 1, totals)
    assert paired_speaker_interval(hits, hits, totals) == (0, 0, 0)
    value, low, high = paired_speaker_interval(better, hits, totals)
    assert paired_speaker_interval(hits, better, totals) == pytest.approx((-value, -high, -low))
    alone = speaker_interval(hits, totals)
    assert low > 0 and high - low < (alone.high - alone.low) / 2


def test_one_speaker_leaves_a_score_open_and_none_leaves_it_undefined(counts):
    hits, totals = counts
    value = SCORES["ua"](hits[0], totals[0])
    assert speaker_interval(hits[:1], totals[:1]) == (value, 0, 1)
    assert paired_speaker_interval(hits[:1], hits[:1], totals[:1]) == (0, -1, 1)
    assert np.isnan(speaker_interval(hits[:0], totals[:0])).all()


@pytest.mark.parametrize(
    "options, key", [({"score": "f1"}, "f1"), ({"level": 95}, "level"), ({"totals": np.ones((3, 2))}, "totals")]
)
def test_bad_input_is_refused(options, key):
    with pytest.raises(ValueError, match=key):
        speaker_interval(**{"hits": np.ones((2, 2)), "totals": np.ones((2, 2)), **options})
