import sys

import pytest

from akd_toolkit.deploy.bench.measures import (
    energy_meter,
)  # fmt: skip


def zone(folder, name, microjoules, limit, kind="package-0"):
    place = folder / name
    place.mkdir()
    (place / "name").write_text(f"{kind}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{limit}\n")
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
