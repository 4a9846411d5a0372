import json

import pandas as pd
import pytest

from akd_toolkit.deploy.bench.plot import plot_latency
from akd_toolkit.deploy.bench.rows import Row
from akd_toolkit.deploy.bench.run import Bench
from akd_toolkit.deploy.bench.table import HEADER, bench_frame, bench_markdown, bench_table, significant, write_bench

MACHINE = {
    "cpu": "Some CPU",
    "instructions": ["avx2"],
    "cores": 2,
    "memory_gb": 8.0,
    "system": "Linux 6, x86_64",
    "gpu": None,
    "versions": {"torch": "2.11.0", "openvino": None},
    "load_at_start": 0.1,
    "date": "2026-01-01T00:00:00+00:00",
}


@pytest.fixture
def bench(measured_row):
    slower = Row("peer", "PyTorch", 1, parameters=0)
    slower.seconds["whole", 1] = [0.040]
    missing = Row("tiny", "TensorRT FP16", 1, reason="no CUDA device", parameters=320_000)
    options = {"window_s": 2.0, "seconds": 0.5, "batches": [1, 4], "threads": [1], "sources": ["tiny"]}
    return Bench([missing, measured_row, slower], dict(MACHINE), options)


def test_the_table_by_hand(bench):
    lines = bench_table(bench).splitlines()
    assert lines[2].split(" | ") == (
        ["| tiny", "TensorRT FP16", "1", "0.32 M", "-", "-", *["-"] * 8, "no CUDA device |"]
    )
    cells = ["| tiny", "ONNX Runtime FP32", "1", "0.32 M", "0.05", "1.5", "4", "9.4", "1", "0.002", "25 %", "500 (4)"]
    assert lines[3].split(" | ") == [*cells, "35", "20", " |"]
    assert lines[4].split(" | ")[6:9] == ["40", "40", "10"]  # ten times the first row that was measured
    assert all(line.count("|") == len(HEADER) + 1 for line in lines)


def test_the_page_names_the_machine_and_warns_where_it_was_busy(bench):
    page = bench_markdown(bench)
    assert page.startswith("# Speed on Some CPU, 2 cores\n") and "torch 2.11.0" in page and "openvino" not in page
    assert "A window is 2 s" in page and "5 rounds" in page and "busy" not in page and "Stopped" not in page
    bench.machine["load_at_start"], bench.stopped = 1.7, True
    page = bench_markdown(bench)
    assert "a load of 1.7 on 2 cores" in page and "Stopped early" in page


def test_the_folder_holds_page_numbers_and_machine(bench, tmp_path):
    write_bench(bench, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bench.csv", "bench.md", "environment.json"]
    frame = pd.read_csv(tmp_path / "out" / "bench.csv")
    assert frame["p50_ms"].isna().tolist() == [True, False, False] and frame["p50_ms"][1] == pytest.approx(4.0)
    told = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert told["cpu"] == "Some CPU" and told["options"]["window_s"] == 2.0 and told["stopped"] is False


def test_a_bench_that_was_stopped_at_once_is_a_table_without_rows(tmp_path):
    bench = Bench([], dict(MACHINE), {"window_s": 3.0, "seconds": 1.0}, stopped=True)
    assert len(bench_table(bench).splitlines()) == 2 and bench_frame(bench).empty
    assert write_bench(bench, tmp_path).is_dir()
    assert plot_latency(bench, tmp_path / "bench.png") is False and not (tmp_path / "bench.png").exists()


def test_the_picture_is_drawn(bench, tmp_path):
    assert plot_latency(bench, tmp_path / "bench.png") is True
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-7, "0.0000001"), (0.99999, "1"), (12.345, "12.3"), (99.99, "100"), (1e4, "10000")],
)
def test_three_digits_that_tell_something(value, text):
    assert significant(value) == text
