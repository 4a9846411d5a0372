import sys

from akd_toolkit.deploy.bench.energy import energy_meter


def package(folder, zone, microjoules, limit, name="package-0"):
    place = folder / zone
    place.mkdir()
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{limit}\n")
    return place / "energy_uj"


def test_joules_of_all_packages_add_up_and_parts_are_not_counted_twice(tmp_path):
    first = package(tmp_path, "intel-rapl:0", 1_000_000, 9_999_999)
    second = package(tmp_path, "intel-rapl:1", 5_000_000, 9_999_999)
    part = package(tmp_path, "intel-rapl:0:0", 0, 9_999_999, "core")
    whole = package(tmp_path, "intel-rapl:2", 0, 9_999_999, "psys")
    stop = energy_meter(powercap=tmp_path)()
    first.write_text("1500000")
    second.write_text("5250000")
    part.write_text("400000")
    whole.write_text("900000")
    assert stop() == 0.75


def test_a_counter_that_wraps_goes_on_from_zero(tmp_path):
    counter = package(tmp_path, "intel-rapl:0", 900_000, 999_999)
    stop = energy_meter(powercap=tmp_path)()
    counter.write_text("100000")  # 100 000 to the end, which is 0 again, and 100 000 more
    assert stop() == 0.2


def test_a_machine_that_does_not_tell_has_no_meter(tmp_path):
    assert energy_meter(powercap=tmp_path / "nothing") is None
    package(tmp_path, "intel-rapl:0", 1, 2).unlink()
    assert energy_meter(powercap=tmp_path) is None


def test_a_gpu_without_its_library_has_no_meter(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy_meter(on_gpu=True) is None
