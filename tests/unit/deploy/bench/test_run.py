import logging
import subprocess
import sys

import numpy as np
import pytest

from akd_toolkit.cli import main
from akd_toolkit.deploy.bench import options as bench_options
from akd_toolkit.deploy.bench import run as bench_run
from akd_toolkit.deploy.bench.children import Child, WorkerError
from akd_toolkit.deploy.bench.rows import Row
from akd_toolkit.deploy.bench.run import ROUNDS, STOPPED, run_bench, thread_counts

OPTIONS = {"peers": [], "threads": [1], "progress": False}


class Pretended:
    """Children that take no time, all in one process; ``seconds`` and ``fails`` are by place."""

    def __init__(self, monkeypatch, places):
        self.asked, self.closed = [], []
        self.seconds, self.fails, self.stop_after = {}, {}, None
        pretended = self

        class OneChild:
            def __init__(self, row, voices, work):
                assert voices.is_file()
                self.place = row.place

            def ask(self, method, **arguments):
                pretended.asked.append((method, self.place, arguments.get("what"), arguments.get("batch")))
                if pretended.stop_after is not None and len(pretended.asked) > pretended.stop_after:
                    raise KeyboardInterrupt
                if reason := pretended.fails.get((method, self.place, arguments.get("batch"))):
                    raise WorkerError(reason)
                if method == "load":
                    return {"memory_bytes": 5_000_000}
                taken = pretended.seconds.get(self.place, 0.001) * arguments["batch"]
                return {"seconds": taken} if method == "warm" else {"seconds": [taken], "joules": 0.5}

            def close(self):
                pretended.closed.append(self.place)

        rows = [Row(place, "way", 1, "loader", place) for place in places]
        monkeypatch.setattr(bench_run, "Child", OneChild)
        monkeypatch.setattr(bench_run, "_planned", lambda *arguments: rows)


def test_rows_take_turns_within_every_cell(monkeypatch):
    children = Pretended(monkeypatch, ["a", "b"])
    bench = run_bench(["x"], batches=[4], seconds=1.0, **OPTIONS)
    timed = [(place, batch) for method, place, _, batch in children.asked if method == "time"]
    assert timed == [("a", 1), ("b", 1), ("a", 4), ("b", 4)] * ROUNDS
    assert bench.rows[0].seconds["whole", 1] == [0.001] * ROUNDS and bench.rows[0].memory_mb == 5.0
    assert bench.rows[0].joules == 0.5 * ROUNDS and not bench.stopped
    assert sorted(children.closed) == ["a", "b"]
    assert bench.options == {"sources": ["x"], "window_s": 3.0, "seconds": 1.0, "batches": [1, 4], "threads": [1]}


def test_a_batch_that_does_not_fit_in_the_seconds_is_left_out(monkeypatch):
    children = Pretended(monkeypatch, ["slow", "quick"])
    children.seconds["slow"] = 0.4
    bench = run_bench(["x"], batches=[1, 2, 8], seconds=1.0, **OPTIONS)
    assert {batch for (_, batch) in bench.rows[0].seconds} == {1, 2}  # eight would take 3.2 s
    assert {batch for (_, batch) in bench.rows[1].seconds} == {1, 2, 8}


def test_what_fails_says_so_in_its_row_and_the_others_go_on(monkeypatch):
    children = Pretended(monkeypatch, ["unloaded", "large", "later", "good"])
    children.fails = {
        ("load", "unloaded", None): "no such library",
        ("warm", "large", 8): "out of memory",
        ("time", "later", 1): "its process ended by signal 9",
    }
    unloaded, large, later, good = run_bench(["x"], batches=[1, 8], **OPTIONS).rows
    assert unloaded.reason == "no such library" and not unloaded.measured
    assert large.measured and large.note == "batch 8: out of memory" and not large.seconds["whole", 8]
    assert later.reason == "its process ended by signal 9" and good.measured
    assert sum(asked[:2] == ("time", "later") for asked in children.asked) == 1  # not asked again


def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(monkeypatch):
    children = Pretended(monkeypatch, ["a", "b"])
    children.stop_after = 5  # load and warm of both, one slice of the first
    bench = run_bench(["x"], batches=[1], **OPTIONS)
    assert bench.stopped and bench.rows[0].measured and bench.rows[0].seconds["whole", 1] == [0.001]
    assert bench.rows[1].reason == STOPPED
    assert sorted(children.closed) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": ["onyx"]}, "unknown way 'onyx'; known: onnx, "),
        ({"peers": ["opensmil"]}, "unknown peer 'opensmil'; known: opensmile, wav2vec2, light_sernet"),
        ({"threads": [0]}, "threads must be numbers >= 1 or 'all', got '0'"),
        ({"batches": [0]}, "batches must be >= 1, got \\[0\\]"),
        ({"window_s": 0.05}, "window_s must be from 0.1 to 60 s, got 0.05"),
        ({"seconds": float("inf")}, "seconds must be from above 0 to 3600, got inf"),
        ({"seconds": float("nan")}, "seconds must be from above 0 to 3600, got nan"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_runs(options, message):
    with pytest.raises(ValueError, match=message):
        run_bench(["micro_cnn"], progress=False, **options)


def test_all_threads_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(bench_options, "num_cores", lambda: 6)
    assert thread_counts(["1", "all", "6"]) == [1, 6]


def test_a_real_process_answers_and_ends(tiny_file, tmp_path):
    bench = run_bench([tiny_file], ways=["onnx"], batches=[1, 2], window_s=0.1, seconds=0.01, **OPTIONS)
    (row,) = bench.rows
    assert row.measured, row.reason
    assert len(row.seconds["whole", 1]) >= 2 * ROUNDS and len(row.seconds["features", 1]) >= 2 * ROUNDS
    assert 0 < row.p50_ms() < 1000 and 0 < row.memory_mb < 1000


def test_two_sources_of_one_name_are_told_apart(tiny_file, tmp_path):
    other = tmp_path / "other" / "tiny.onnx"
    other.parent.mkdir()
    other.write_bytes(tiny_file.read_bytes())
    work, voices = tmp_path / "work", np.zeros((1, 1600), dtype=np.float32)
    rows = bench_run._planned([tiny_file, other], ["onnx"], [], [1], work, voices, progress=False)
    assert [row.model for row in rows] == ["Tiny (tiny.onnx)", f"Tiny (tiny.onnx) ({other})"]


def test_a_process_that_dies_gives_its_last_words(tmp_path):
    child = Child(Row("a", "b", 1, "no_loader", "x"), tmp_path / "missing.npy", tmp_path)
    with pytest.raises(WorkerError, match="its process ended with exit code 1: FileNotFoundError"):
        child.ask("load")
    child.close()
    assert child.process.returncode == 1


def test_the_command_prints_and_writes_the_table(tiny_file, tmp_path, capsys, monkeypatch):
    Pretended(monkeypatch, ["a"])
    code = main(["bench", str(tiny_file), "--peers", "none", "--threads", "1", "--to", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert code == 0 and "| a | way | 1 |" in told and "written to" in told
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["bench.csv", "bench.md", "bench.png", "environment.json"]


def test_the_command_that_was_stopped_says_so(tiny_file, capsys, monkeypatch):
    Pretended(monkeypatch, ["a"]).stop_after = 2
    assert main(["bench", str(tiny_file), "--peers", "none", "--threads", "1"]) == 130
    assert "Stopped early" in capsys.readouterr().out


def test_the_command_refuses_an_unknown_source(capsys):
    assert main(["bench", "mikro_cnn", "--peers", "none", "--window_s", "0.1"]) == 1
    assert "error: 'mikro_cnn' is neither a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["micro_cnn", "--ways", "onyx"], "unknown way 'onyx'; known: onnx, "),
        (["micro_cnn", "--peers", "none", "opensmile"], "unknown peer 'none'; known: "),
        (["micro_cnn", "--threads", "some"], "threads must be numbers >= 1 or 'all', got 'some'"),
        (["results/akd/seed17"], "'results/akd/seed17' does not exist, and no student is called so; give"),
        (["micro_cnn", "--to", __file__], "is a file; give a folder for bench.md"),
    ],
)
def test_the_command_refuses_mistakes_before_anything_runs(options, message, capsys, monkeypatch):
    monkeypatch.setattr(bench_run, "run_bench", None)
    assert main(["bench", *options]) == 1
    assert message in capsys.readouterr().err


def test_mistakes_are_found_without_pytorch():
    call = "import sys; from akd_toolkit.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", call, "bench", "a/b"], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n" and done.stderr.startswith("error: 'a/b' does not exist")


def test_progress_is_told_where_stderr_is_no_terminal(tiny_file, monkeypatch, capsys):
    Pretended(monkeypatch, ["a"])
    assert main(["bench", str(tiny_file), "--peers", "none", "--threads", "1"]) == 0
    told = capsys.readouterr().err
    assert "starting" in told and "0/1" in told and f"measuring, round {ROUNDS} of {ROUNDS}" in told


def test_the_bench_is_quiet_about_files_that_will_be_gone_and_leaves_loggers_as_they_were(monkeypatch, caplog):
    Pretended(monkeypatch, [])
    log = logging.getLogger("akd_toolkit.deploy.export.onnx")
    monkeypatch.setattr(bench_run, "_planned", lambda *arguments: log.info("wrote a file") or [])
    with caplog.at_level(logging.INFO):
        assert main(["bench", "micro_cnn", "--peers", "none"]) == 0
        assert caplog.records == []
        log.info("wrote another")
    assert [record.message for record in caplog.records] == ["wrote another"]
