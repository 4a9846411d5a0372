"""Spans by hand."""

import pytest

from akd_toolkit.inference.timeline import Moment, Span, timeline


def moments(*told, hop_s=1.0):
    """One moment a hop from "joy 0.8" (a decision and its probability), "?" (not answered yet) or "-" (silence)."""
    made = []
    for hop, word in enumerate(told):
        label, _, probability = word.partition(" ")
        smoothed = {label: float(probability)} if probability else None
        times = (hop * hop_s, (hop + 1) * hop_s)
        made.append(Moment(*times, word != "-", label if probability else None, smoothed, smoothed))
    return made


@pytest.mark.parametrize(
    "told, spans",
    [
        ([], []),
        (["-", "-"], [(0.0, 2.0)]),
        (["?", "?", "-"], [(2.0, 3.0)]),
        (["joy 0.5"], [(0.0, 1.0, "joy", 0.5)]),
        (["joy 0.5", "joy 1.0", "joy 0.75"], [(0.0, 3.0, "joy", 0.75)]),
        (["joy 0.5", "joy 1.0", "fear 0.5"], [(0.0, 2.0, "joy", 0.75), (2.0, 3.0, "fear", 0.5)]),
        (["joy 0.5", "-", "joy 1.0"], [(0.0, 1.0, "joy", 0.5), (1.0, 2.0), (2.0, 3.0, "joy", 1.0)]),
        (["-", "?", "?", "joy 0.5", "-", "?"], [(0.0, 1.0), (1.0, 4.0, "joy", 0.5), (4.0, 5.0)]),
        (["?", "-", "joy 0.5", "fear 0.25"], [(1.0, 2.0), (2.0, 3.0, "joy", 0.5), (3.0, 4.0, "fear", 0.25)]),
        (
            ["joy 0.5", "-", "?", "fear 0.25", "-"],
            [(0.0, 1.0, "joy", 0.5), (1.0, 2.0), (2.0, 4.0, "fear", 0.25), (4.0, 5.0)],
        ),
    ],
)
def test_moments_become_these_spans(told, spans):
    silence = ("no speech", None, False)
    assert timeline(moments(*told)) == [Span(*span, *silence) if len(span) == 2 else Span(*span) for span in spans]


def test_a_short_last_hop_counts_by_its_length():
    first, last = moments("joy 0.5", "joy 1.0")
    short = Moment(1.0, 1.25, True, "joy", last.raw, last.smoothed)
    assert timeline([first, short]) == [Span(0.0, 1.25, "joy", (0.5 + 0.25 * 1.0) / 1.25)]


def test_moments_may_come_one_by_one():
    assert timeline(iter(moments("joy 0.5", "joy 0.5"))) == [Span(0.0, 2.0, "joy", 0.5)]


def test_without_a_label_there_is_no_probability():
    assert [moment.probability for moment in moments("-", "?", "joy 0.5")] == [None, None, 0.5]
