import gc

import pytest

from akd_toolkit.deploy.bench.timing import percentile_ms, time_calls


class Clock:
    """Stands still but for the seconds that a call takes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


def test_calls_repeat_until_the_seconds_have_passed():
    clock = Clock()
    taken = time_calls(lambda: clock.work(0.25), seconds=1.0, clock=clock)
    assert taken == [0.25, 0.25, 0.25, 0.25]


def test_a_slow_call_is_made_at_least_so_many_times():
    clock = Clock()
    assert time_calls(lambda: clock.work(8.0), seconds=0.5, fewest=3, clock=clock) == [8.0, 8.0, 8.0]


def test_warming_up_is_not_timed():
    clock, calls = Clock(), []

    def call():
        calls.append(1)
        clock.work(100.0 if len(calls) <= 2 else 1.0)

    assert time_calls(call, seconds=2.0, warm_up=2, clock=clock) == [1.0, 1.0]


def test_the_garbage_collector_rests_and_wakes_again_even_after_a_failure():
    states = []

    def fails():
        states.append(gc.isenabled())
        raise KeyError("no")

    assert gc.isenabled()
    with pytest.raises(KeyError):
        time_calls(fails, seconds=1.0, warm_up=0)
    assert states == [False] and gc.isenabled()


def test_percentiles_are_interpolated():
    seconds = [0.001 * value for value in range(1, 22)]  # 1 to 21 ms: the median is 11, a twentieth above 20 is one
    assert percentile_ms(seconds, 50) == pytest.approx(11.0)
    assert percentile_ms(seconds, 95) == pytest.approx(20.0)
    assert percentile_ms(seconds[::-1], 95) == pytest.approx(20.0)
    assert percentile_ms([0.007], 95) == pytest.approx(7.0)
