"""Calls, operations and energy."""

import sys

import pytest
from torch import nn

from akd_toolkit.deploy.bench.measures import energy_meter, operations_of_file, operations_of_module, time_calls


@pytest.mark.parametrize(("each", "seconds", "calls"), [(0.25, 1.0, 4), (8.0, 0.5, 3)])
def test_calls_repeat_until_the_seconds_have_passed_and_enough_are_made(each, seconds, calls):
    now = [0.0]  # a clock that advances only by the seconds that a call takes

    def work():
        now[0] += each

    assert time_calls(work, seconds, fewest=3, clock=lambda: now[0]) == [each] * calls


class Attention(nn.Linear):
    def forward(self, waveform):
        x = waveform.view(1, 1, -1, 4)  # one head, 10 positions of 4 numbers
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_operations_by_hand(tiny_file):
    module = nn.Sequential(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, 5, kernel_size=10, stride=2, bias=False), nn.ReLU())
    # (100 - 10) / 2 + 1 = 46 frames of 5 channels, each 10 multiplications and additions
    assert operations_of_module(module, num_samples=100) == 46 * 5 * 10 * 2
    assert operations_of_module(Attention(4, 4), num_samples=40) == 2 * (2 * 10 * 10 * 4)  # two products
    assert operations_of_file(tiny_file, num_samples=1600) == 2 * 1 * 1 * 2  # [1, 1] times [1, 2]


def zone(folder, name, microjoules, limit, kind="package-0"):
    place = folder / name
    place.mkdir()
    for file, content in (("name", kind), ("energy_uj", microjoules), ("max_energy_range_uj", limit)):
        (place / file).write_text(f"{content}\n")
    return place / "energy_uj"


def test_joules_of_all_packages_are_added_and_parts_are_not_counted_twice(tmp_path):
    counters = {
        zone(tmp_path, "intel-rapl:0", 1_000_000, 9_999_999): 1_500_000,
        zone(tmp_path, "intel-rapl:1", 900_000, 999_999): 100_000,  # wraps: 100 000 to the end and 100 000 more
        zone(tmp_path, "intel-rapl:0:0", 0, 9_999_999, "core"): 400_000,
        zone(tmp_path, "intel-rapl:2", 0, 9_999_999, "psys"): 900_000,
    }
    stop = energy_meter(powercap=tmp_path)()
    for counter, now in counters.items():
        counter.write_text(str(now))
    assert stop() == pytest.approx(0.7)


def test_without_counters_there_is_no_meter(tmp_path, monkeypatch):
    assert energy_meter(powercap=tmp_path / "nothing") is None
    zone(tmp_path, "intel-rapl:0", 1, 2).unlink()
    assert energy_meter(powercap=tmp_path) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy_meter(on_gpu=True) is None
