"""Long pauses are shortened as the definition says, however the sound is cut."""

import tracemalloc

import numpy as np
import pytest

from akd_toolkit.inference.pauses import PauseCutter

LONGEST, KEPT = 20, 4  # samples
FRAME = 3.2  # samples, so that frames end beside samples


def cutter():
    return PauseCutter(sample_rate_hz=1, frame_s=FRAME, longest_s=LONGEST, kept_s=KEPT)


def random_speech(random, frames):
    """Runs of speech and of none, of a few frames each."""
    lengths = random.integers(1, 14, frames)
    return np.repeat(np.arange(frames) % 2 == random.integers(2), lengths)[:frames]


def by_definition(total, speech):
    """Numbers of the samples that are kept, from the whole."""
    ends = [round((k + 1) * FRAME) for k in range(len(speech))]
    spoken = np.zeros(total, bool)
    for start, end, is_speech in zip([0, *ends], ends, speech):
        spoken[start:end] = is_speech
    kept = np.ones(total, bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], spoken, [True]])))
    for start, end in zip(edges[::2], edges[1::2]):
        if end - start > LONGEST:
            kept[start + (KEPT if start else 0) : end - (KEPT if end < total else 0)] = False
    return np.flatnonzero(kept)


@pytest.mark.parametrize("seed", range(30))
def test_it_is_what_the_definition_gives_for_the_whole_however_it_is_cut(seed):
    random = np.random.default_rng(seed)
    speech = random_speech(random, 60)
    total = round(60 * FRAME) + int(random.integers(0, 3))
    samples = np.arange(total)
    whole = cutter()
    expected = by_definition(total, speech).tolist()
    assert [*whole.push(samples, speech), *whole.finish()] == expected and len(expected) < total
    pieces, given, at, frames = cutter(), [], 0, 0
    while at < total:
        piece = samples[at : at + random.integers(0, 30)]
        at += len(piece)
        complete = min(60, int(at / FRAME))
        given += pieces.push(piece, speech[frames:complete]).tolist()
        frames = complete
    assert [*given, *pieces.finish()] == expected and pieces.speech_s == pytest.approx(speech.sum() * FRAME)


def test_a_sound_without_long_pauses_is_given_as_it_is():
    speech = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0], bool)
    pauses = cutter()
    assert [*pauses.push(np.arange(40), speech), *pauses.finish()] == list(range(40))


def test_a_long_sound_without_speech_gives_nothing_and_takes_no_memory():
    pauses = PauseCutter(16000, 0.032)
    tracemalloc.start()
    for _ in range(200):
        assert not len(pauses.push(np.zeros(16000, np.float32), np.zeros(31, bool)))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 3 * 4 * 16000 and not len(pauses.finish()) and pauses.speech_s == 0


@pytest.mark.parametrize("kept_s", [-0.1, 1.1])
def test_what_is_kept_must_fit(kept_s):
    with pytest.raises(ValueError, match="kept_s"):
        PauseCutter(16000, 0.032, longest_s=2.0, kept_s=kept_s)
