from programs import check_mistakes

from akd_toolkit.cli import main
from akd_toolkit.deploy.bench import run as bench_run
from akd_toolkit.deploy.bench.run import WorkerError, run_bench
from akd_toolkit.deploy.bench.table import ROUNDS, Row

OPTIONS = {"peers": [], "threads": [1]}


class Workers:
    """Stubs of worker processes that take no time; ``seconds`` and ``fails`` are by path."""

    def __init__(self, monkeypatch, *paths):
        self.calls, self.closed = [], []
        self.seconds, self.fails, self.stop_after = {}, {}, None
        workers = self

        class Stub:
            def __init__(self, row, work):
                assert (work / "signals.npy").is_file()
                self.path = row.path

            def call(self, what, batch, seconds):
                workers.calls.append(("timed" if seconds else "first", self.path, batch))
                if workers.stop_after is not None and len(workers.calls) > workers.stop_after:
                    raise KeyboardInterrupt
                if reason := workers.fails.get(workers.calls[-1]):
                    raise WorkerError(reason)
                taken = workers.seconds.get(self.path, 0.001) * batch
                return {"seconds": [taken], "joules": 0.5, "memory_bytes": 5_000_000 * batch}

            def close(self):
                workers.closed.append(self.path)

        monkeypatch.setattr(bench_run, "WorkerProcess", Stub)
        rows = [Row(path, "backend", 1, "loader", path) for path in paths]
        monkeypatch.setattr(bench_run, "_rows", lambda *arguments: rows)


def test_rows_take_turns_within_every_batch_size(monkeypatch):
    workers = Workers(monkeypatch, "a", "b")
    bench = run_bench(["x"], batches=[4], seconds=1.0, **OPTIONS)
    timed = [(path, batch) for kind, path, batch in workers.calls if kind == "timed"]
    assert timed == [("a", 1), ("b", 1), ("a", 4), ("b", 4)] * ROUNDS
    assert bench.rows[0].seconds["whole", 1] == [0.001] * ROUNDS and bench.rows[0].memory_mb == 5.0
    assert bench.rows[0].joules == 0.5 * ROUNDS and not bench.stopped
    assert sorted(workers.closed) == ["a", "b"]
    assert bench.options == {"sources": ["x"], "window_s": 3.0, "seconds": 1.0, "batches": [1, 4], "threads": [1]}


def test_a_batch_that_does_not_fit_in_the_seconds_is_skipped(monkeypatch):
    workers = Workers(monkeypatch, "slow", "quick")
    workers.seconds["slow"] = 0.4
    slow, quick = run_bench(["x"], batches=[1, 2, 8], seconds=1.0, **OPTIONS).rows
    assert {batch for _, batch in slow.seconds} == {1, 2}  # eight would take 3.2 s
    assert {batch for _, batch in quick.seconds} == {1, 2, 8}


def test_a_failure_is_shown_in_its_row_and_the_others_go_on(monkeypatch):
    workers = Workers(monkeypatch, "unloaded", "large", "later", "good")
    workers.fails = {
        ("first", "unloaded", 1): "no such library",
        ("first", "large", 8): "out of memory",
        ("timed", "later", 1): "its process ended by signal 9",
    }
    unloaded, large, later, good = run_bench(["x"], batches=[1, 8], **OPTIONS).rows
    assert unloaded.reason == "no such library" and not unloaded.measured
    assert large.measured and large.note == "batch 8: out of memory" and not large.seconds["whole", 8]
    assert later.reason == "its process ended by signal 9" and good.measured
    assert sum(call[:2] == ("timed", "later") for call in workers.calls) == 1  # not called again


def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(monkeypatch):
    workers = Workers(monkeypatch, "a", "b")
    workers.stop_after = 3  # first calls of both, one slice of the first
    bench = run_bench(["x"], batches=[1], **OPTIONS)
    assert bench.stopped and bench.rows[0].measured and bench.rows[0].seconds["whole", 1] == [0.001]
    assert "stopped" in bench.rows[1].reason and sorted(workers.closed) == ["a", "b"]


def test_a_real_process_is_measured(tiny_file):
    bench = run_bench([tiny_file], backends=["onnx"], batches=[1, 2], window_s=0.1, seconds=0.01, **OPTIONS)
    (row,) = bench.rows
    assert row.measured, row.reason
    assert len(row.seconds["whole", 1]) >= 2 * ROUNDS and len(row.seconds["features", 1]) >= 2 * ROUNDS
    assert 0 < row.numbers(0.1)["p50_ms"] < 1000 and 0 < row.memory_mb < 1000


def test_the_command_prints_and_writes_the_table_and_shows_progress(tiny_file, tmp_path, terminal, monkeypatch):
    Workers(monkeypatch, "a")
    call = ["bench", str(tiny_file), "--peers", "none", "--threads", "1"]
    assert main([*call, "--to", str(tmp_path / "out")]) == 0
    printed, progress = terminal.readouterr()
    assert "| a | backend | 1 |" in printed and "written to" in printed and (tmp_path / "out" / "bench.md").is_file()
    assert "starting" in progress and f"measuring, round {ROUNDS} of {ROUNDS}" in progress
    Workers(monkeypatch, "a").stop_after = 2
    assert main(call) == 130 and "Stopped early" in terminal.readouterr().out


def test_mistakes_are_found_without_pytorch(tmp_path):
    calls = {
        "a/b": "'a/b'",
        "micro_cnn --ways onyx": "--ways: unknown 'onyx'; known: onnx, ",
        "micro_cnn --peers none opensmile": "--peers: unknown 'none'; known: opensmile, wav2vec2, light_sernet",
        "micro_cnn --threads some": "'some'",
        "micro_cnn --threads 0": "threads",
        "micro_cnn --batches 0": "batches",
        "micro_cnn --window_s 0.05": "window_s",
        "micro_cnn --seconds inf": "seconds",
        "micro_cnn --seconds nan": "seconds",
        f"micro_cnn --to {__file__}": "is a file",
    }
    check_mistakes("bench", calls, tmp_path)
