import numpy as np
import pytest

from akd_toolkit.metrics import paired_speaker_bootstrap, speaker_bootstrap, speaker_counts, ua, wa
from akd_toolkit.metrics.intervals import pooled_ua, pooled_wa

SPEAKERS, CLASSES = 6, 3


@pytest.fixture
def corpus():
    """Truth, prediction and speaker of 120 utterances; some speakers are understood better than others."""
    rng = np.random.default_rng(4)
    speaker, truth = rng.integers(SPEAKERS, size=120), rng.integers(CLASSES, size=120)
    right = rng.random(120) < 0.4 + 0.1 * speaker
    return truth, np.where(right, truth, (truth + 1) % CLASSES), speaker


def test_scores_of_counts_equal_the_scores_of_labels(corpus):
    truth, said, speaker = corpus
    hits, totals = speaker_counts(truth == said, truth, speaker, CLASSES)
    assert hits.shape == totals.shape == (SPEAKERS, CLASSES)
    assert pooled_wa(hits.sum(axis=0), totals.sum(axis=0)) == pytest.approx(wa(truth, said))
    assert pooled_ua(hits.sum(axis=0), totals.sum(axis=0)) == pytest.approx(ua(truth, said))


def test_one_redrawn_corpus_equals_the_naive_loop(corpus):
    truth, said, speaker = corpus
    hits, totals = speaker_counts(truth == said, truth, speaker, CLASSES)
    drawn = np.random.default_rng(0).multinomial(SPEAKERS, np.full(SPEAKERS, 1 / SPEAKERS), size=1)[0]
    rows = np.concatenate([np.flatnonzero(speaker == name) for name in range(SPEAKERS) for _ in range(drawn[name])])
    once = speaker_bootstrap(hits, totals, "ua", num_resamples=1, seed=0)
    assert once.low == once.high == pytest.approx(ua(truth[rows], said[rows]))


@pytest.mark.parametrize("score", ["wa", "ua"])
def test_interval_holds_the_score_repeats_with_its_seed_and_widens_with_its_level(corpus, score):
    truth, said, speaker = corpus
    counts = speaker_counts(truth == said, truth, speaker, CLASSES)
    interval = speaker_bootstrap(*counts, score)
    assert interval.low < interval.value < interval.high
    assert interval == speaker_bootstrap(*counts, score)
    assert interval != speaker_bootstrap(*counts, score, seed=1)
    wider = speaker_bootstrap(*counts, score, level=0.99)
    assert wider.low < interval.low and interval.high < wider.high


def test_speakers_that_differ_widen_the_interval_although_the_score_is_the_same():
    totals = np.full((10, 1), 20.0)
    alike = speaker_bootstrap(np.full((10, 1), 10.0), totals)
    unlike = speaker_bootstrap(np.array([[0.0], [20.0]] * 5), totals)
    assert alike.value == unlike.value == 0.5
    assert alike.high - alike.low == 0 and unlike.high - unlike.low > 0.5


def test_a_class_that_only_one_speaker_has_is_left_out_where_that_speaker_is_not_drawn():
    hits, totals = np.array([[5.0, 0.0], [10.0, 0.0]]), np.array([[10.0, 0.0], [10.0, 4.0]])
    # (a, a): 1/2; (b, b): (1 + 0) / 2 = 1/2; (a, b) and (b, a): (3/4 + 0) / 2 = 3/8.
    interval = speaker_bootstrap(hits, totals)
    assert (interval.value, interval.low, interval.high) == (0.375, 0.375, 0.5)


def test_paired_interval_of_a_system_with_itself_is_zero(corpus):
    truth, said, speaker = corpus
    hits, totals = speaker_counts(truth == said, truth, speaker, CLASSES)
    interval = paired_speaker_bootstrap(hits, hits, totals)
    assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_paired_interval_is_narrower_than_that_of_either_system(corpus):
    truth, said, speaker = corpus
    hits, totals = speaker_counts(truth == said, truth, speaker, CLASSES)
    better = np.minimum(hits + 1, totals)
    paired = paired_speaker_bootstrap(better, hits, totals)
    alone = speaker_bootstrap(hits, totals)
    assert paired.low > 0 and paired.high - paired.low < (alone.high - alone.low) / 2


def test_swapping_the_systems_turns_the_paired_interval_round(corpus):
    truth, said, speaker = corpus
    hits, totals = speaker_counts(truth == said, truth, speaker, CLASSES)
    forth, back = (paired_speaker_bootstrap(*pair, totals) for pair in ((hits, totals), (totals, hits)))
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "f1"}, "score must be one of wa, ua, got 'f1'"),
        ({"level": 95}, "level must lie between 0 and 1, got 95"),
        ({"num_resamples": 0}, "num_resamples must be >= 1, got 0"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        speaker_bootstrap(np.ones((2, 2)), np.ones((2, 2)), **options)


def test_counts_that_do_not_match_are_refused():
    with pytest.raises(
        ValueError, match=r"hits and totals must both be \[speakers, classes\], got \[2, 2\] and \[3, 2\]"
    ):
        speaker_bootstrap(np.ones((2, 2)), np.ones((3, 2)))
