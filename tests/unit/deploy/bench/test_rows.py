import pytest

from akd_toolkit.deploy.bench.rows import WHOLE, Row, numbers


def test_numbers_of_a_row_by_hand(measured_row):
    told = numbers(measured_row, window_s=2.0, first_ms=8.0)
    assert told["p50_ms"] == pytest.approx(4.0)
    assert told["p95_ms"] == pytest.approx(9.4)  # 4 + 0.9 of the way to 10
    assert told["min_ms"] == pytest.approx(2.0)
    assert told["rtf"] == pytest.approx(0.002)  # 4 ms of 2 s
    assert told["features_share"] == pytest.approx(0.25)
    assert told["windows_per_s"] == pytest.approx(500.0) and told["best_batch"] == 4  # 4 in 8 ms; alone 250
    assert told["mj_per_window"] == pytest.approx(20.0)
    assert told["times_first"] == pytest.approx(0.5)
    assert told["calls"] == 3 and told["memory_mb"] == 35.2 and told["note"] == ""


def test_a_row_that_was_not_measured_has_its_reason_and_no_numbers():
    told = numbers(Row("tiny", "TensorRT FP16", 1, reason="no CUDA device"), window_s=3.0, first_ms=1.0)
    assert told["note"] == "no CUDA device"
    assert all(told[key] is None for key in ("p50_ms", "p95_ms", "rtf", "windows_per_s", "memory_mb", "times_first"))


def test_a_row_that_failed_half_way_shows_no_numbers(measured_row):
    measured_row.reason = "its process ended by signal 9"
    assert numbers(measured_row, window_s=3.0)["p50_ms"] is None


def test_a_batch_without_calls_does_not_win(measured_row):
    measured_row.seconds[WHOLE, 32] = []
    assert numbers(measured_row, window_s=3.0)["best_batch"] == 4


def test_what_the_machine_does_not_tell_stays_open(measured_row):
    measured_row.joules = None
    measured_row.seconds["features", 1].clear()
    told = numbers(measured_row, window_s=3.0)
    assert told["mj_per_window"] is None and told["features_share"] is None and told["times_first"] is None


def test_a_title_counts_its_threads():
    assert Row("a", "b", 1).title == "a, b, 1 thread" and Row("a", "b", 2).title == "a, b, 2 threads"
