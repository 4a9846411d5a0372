"""Windows and shortened pauses are those of the whole sound, whatever the size of the pieces."""

import tracemalloc

import numpy as np
import pytest

from akd_toolkit.data.audio import window_starts
from akd_toolkit.inference.sound import PauseCutter, WindowCutter

LONGEST, KEPT, FRAME = 20, 4, 3.2  # samples; frames end between samples


@pytest.mark.parametrize("size, step", [(7, 7), (7, 5), (7, 1), (1, 1)])
@pytest.mark.parametrize("longest", [1, 3, 40])
def test_windows_are_those_of_the_whole(size, step, longest):
    random = np.random.default_rng(size + step + longest)
    for total in range(1, 60):
        sound = np.arange(total)
        cutter, found, at = WindowCutter(size, step), [], 0
        while at < total:
            piece = sound[at : at + random.integers(0, longest + 1)]
            found += [window.tolist() for window in cutter.push(piece)]
            at += len(piece)
            assert len(cutter._buffer) <= size
        found.append(cutter.finish().tolist())
        assert found == [sound[start : start + size].tolist() for start in window_starts(total, size, step)]


def pauses_by_definition(total, speech):
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
    return np.flatnonzero(kept).tolist()


@pytest.mark.parametrize("seed", range(10))
def test_pauses_are_shortened_as_defined(seed):
    random = np.random.default_rng(seed)
    runs = random.integers(1, 14, 60)
    speech = np.repeat(np.arange(60) % 2 == random.integers(2), runs)[:60]
    total = round(60 * FRAME) + int(random.integers(0, 3))
    samples, expected = np.arange(total), pauses_by_definition(total, speech)
    whole = PauseCutter(1, FRAME, LONGEST, KEPT)
    assert [*whole.push(samples, speech), *whole.finish()] == expected and len(expected) < total
    cutter, kept, at, frames = PauseCutter(1, FRAME, LONGEST, KEPT), [], 0, 0
    while at < total:
        piece = samples[at : at + random.integers(0, 30)]
        at += len(piece)
        complete = min(60, int(at / FRAME))
        kept += cutter.push(piece, speech[frames:complete]).tolist()
        frames = complete
    assert [*kept, *cutter.finish()] == expected and cutter.speech_s == pytest.approx(speech.sum() * FRAME)


def test_long_silence_is_dropped_and_takes_no_memory():
    cutter = PauseCutter(16000, 0.032)
    tracemalloc.start()
    for _ in range(200):
        assert not len(cutter.push(np.zeros(16000, np.float32), np.zeros(31, bool)))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 3 * 4 * 16000 and not len(cutter.finish()) and cutter.speech_s == 0
