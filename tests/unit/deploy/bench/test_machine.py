import json
import sys

import numpy as np
import pytest

from akd_toolkit.deploy.bench.machine import (
    busy_warning,
    cpu_name,
    describe_machine,
    energy_meter,
    num_cores,
    peak_bytes,
    resident_bytes,
)  # fmt: skip


def test_the_machine_is_described_in_plain_data():
    machine = describe_machine()
    assert machine == json.loads(json.dumps(machine))
    assert machine["cpu"] and machine["system"] and machine["cores"] == num_cores() >= 1
    assert machine["versions"]["torch"] and machine["versions"]["python"].startswith("3.")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no /proc")
def test_the_processor_is_the_first_of_the_list(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\nprocessor\t: 1\nmodel name\t: Other\n")
    assert cpu_name(path) == "Some CPU: 3 GHz" and cpu_name(tmp_path / "missing")


def test_a_machine_with_a_quarter_of_its_cores_at_work_is_busy():
    assert busy_warning(0.9, 4) == "" and busy_warning(None, 4) == ""
    assert "load 1.0 on 4 cores" in busy_warning(1.0, 4)


def test_memory_is_in_bytes():
    array = np.ones(8_000_000)  # 64 MB
    assert 64e6 < resident_bytes() <= peak_bytes() < 1e12
    del array


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
