import json

import pandas as pd
import pytest

from akd_toolkit.deploy.bench.table import Bench, Row, bench_frame, bench_markdown, bench_table, write_bench

MACHINE = {
    **{"cpu": "Some CPU", "instructions": ["avx2"], "cores": 2, "memory_gb": 8.0, "system": "Linux 6, x86_64"},
    **{"gpu": None, "versions": {"torch": "2.11.0", "openvino": None}, "load_at_start": 0.1, "date": "2026-01-01"},
}
OPTIONS = {"window_s": 2.0, "seconds": 0.5, "batches": [1, 4], "threads": [1], "sources": ["tiny"]}


@pytest.fixture
def bench():
    """Latencies of 2, 4 and 10 ms alone, 8 ms for four, 1 ms for the features; 60 mJ in all; and two other rows."""
    row = Row("tiny", "ONNX Runtime FP32", 1, parameters=320_000, memory_mb=35.2, joules=0.060)
    row.seconds |= {("whole", 1): [0.010, 0.002, 0.004], ("whole", 4): [0.008], ("features", 1): [0.001]}
    slower = Row("peer", "PyTorch", 1, parameters=0)
    slower.seconds["whole", 1] = [0.040]
    missing = Row("tiny", "TensorRT FP16", 1, reason="no CUDA device", parameters=320_000)
    return Bench([missing, row, slower], dict(MACHINE), OPTIONS)


def test_numbers_by_hand(bench):
    missing, row, slower = bench_frame(bench).to_dict("records")
    expected = {
        "p50_ms": 4.0,
        "p95_ms": 9.4,  # 4 + 0.9 of the way to 10
        "min_ms": 2.0,
        "rtf": 0.002,  # 4 ms of 2 s
        "features_share": 0.25,
        "windows_per_s": 500.0,  # 4 in 8 ms; alone 250
        "best_batch": 4,
        "mj_per_window": 20.0,
        "times_first": 1.0,
        "calls": 3,
        "memory_mb": 35.2,
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert all(pd.isna(missing[key]) for key in expected) and missing["note"] == "no CUDA device"
    assert slower["times_first"] == pytest.approx(10.0)
    assert pd.isna(slower["mj_per_window"]) and pd.isna(slower["features_share"])


def test_the_page_names_the_machine_and_warns_where_it_was_busy(bench):
    page = bench_markdown(bench)
    assert page.startswith("# Speed on Some CPU, 2 cores\n") and "torch 2.11.0" in page and "openvino" not in page
    assert "window is 2 s" in page and "busy" not in page and "Stopped" not in page
    bench.machine["load_at_start"], bench.stopped = 1.7, True
    page = bench_markdown(bench)
    assert "load 1.7 on 2 cores" in page and "Stopped early" in page


def test_the_folder_holds_page_numbers_plot_and_machine(bench, tmp_path):
    write_bench(bench, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["bench.csv", "bench.md", "bench.png", "environment.json"]
    frame = pd.read_csv(tmp_path / "out" / "bench.csv")
    assert frame["p50_ms"].isna().tolist() == [True, False, False] and frame["p50_ms"][1] == pytest.approx(4.0)
    environment = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert environment["cpu"] == "Some CPU" and environment["options"]["window_s"] == 2.0
    assert (tmp_path / "out" / "bench.png").read_bytes().startswith(b"\x89PNG")
    empty = Bench([], MACHINE, OPTIONS, stopped=True)  # stopped at once
    assert len(bench_table(empty).splitlines()) == 2 and write_bench(empty, tmp_path / "empty").is_dir()
