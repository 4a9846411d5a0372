import math

import pytest

from akd_toolkit.data.segments import cut


def spans(manifest, *args):
    return [(segment.t_start, segment.t_end) for segment in cut(manifest, *args)]


@pytest.mark.parametrize(
    "duration, window, overlap, expected",
    [
        (1.0, 3.0, 0.0, [(0.0, 1.0)]),  # shorter: as it is
        (3.0, 3.0, 0.0, [(0.0, 3.0)]),
        (4.0, 2.0, 0.0, [(0.0, 2.0), (2.0, 4.0)]),  # fits: no extra window
        (4.0, 2.0, 1.0, [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0)]),
        (5.0, 2.0, 0.5, [(0.0, 2.0), (1.5, 3.5), (3.0, 5.0)]),
        (4.5, 2.0, 0.0, [(0.0, 2.0), (2.0, 4.0), (2.5, 4.5)]),  # the last one is moved back
    ],
)
def test_windows_are_where_the_hand_puts_them(toy_manifest, duration, window, overlap, expected):
    assert spans(toy_manifest("A:anger", duration=duration), window, overlap) == expected


@pytest.mark.parametrize("duration", [0.1, 0.731, 1.0, 2.999, 3.0001, 7.77])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_every_moment_is_covered_and_windows_have_one_length(toy_manifest, duration, overlap):
    segments = cut(toy_manifest("A:anger", duration=duration), 1.0, overlap)
    total = round(duration * 16000)
    heard = [False] * total
    for segment in segments:
        part = segment.samples()
        heard[part] = [True] * len(heard[part])
        assert part.stop - part.start == min(16000, total)
        assert 0 <= part.start < part.stop <= total
    assert all(heard)
    assert len(segments) == max(1, math.ceil((total - 16000) / (16000 - round(overlap * 16000))) + 1)


def test_segments_keep_utterance_speaker_and_label(toy_manifest):
    first, *_, last = cut(toy_manifest("A:anger", "B:neutral", duration=2.5), 1.0, 0.0)
    assert (first.utterance_id, first.speaker, first.label) == ("u0", "A", 0)
    assert (last.utterance_id, last.speaker, last.label) == ("u1", "B", 1)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 1.5])
def test_overlap_must_leave_a_step(toy_manifest, overlap):
    with pytest.raises(ValueError, match=r"overlap_s must be in \[0, window_s = 1\.0\) s, got"):
        cut(toy_manifest("A:anger"), 1.0, overlap)


def test_window_must_be_long_enough_for_a_student(toy_manifest):
    with pytest.raises(ValueError, match=r"window_s must be at least 0\.1 s, got 0\.05"):
        cut(toy_manifest("A:anger"), 0.05)
