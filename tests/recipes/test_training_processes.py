"""A training by several processes, and one whose process is interrupted and killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from programs import LIMIT_S, RECIPES, run_python, run_recipe, run_well, small_demo

GENERATED = RECIPES / "Generated"
RUN = "seed17/fold1/outer"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "train.py")
ONE = ("--device=cpu", f"--only_run={RUN}")


def test_two_processes_train_as_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    saving = ("--save_every_s=0", "--checkpoints=1")  # both processes delete old checkpoints together
    together = run_python(*TORCHRUN, *small_demo(two, *ONE, *saving), cwd=GENERATED)
    assert together.returncode == 0, together.stderr
    run_well(GENERATED, *small_demo(one, *ONE))
    expected, found = (pd.read_csv(folder / RUN / "scores.csv") for folder in (one, two))
    assert list(found["ID"]) == list(expected["ID"])
    names = [name for name in expected.columns if name.startswith("p_")]
    # Batch norm sees half of a batch in either process.
    np.testing.assert_allclose(found[names], expected[names], atol=0.1)
    histories = [pd.read_csv(folder / RUN / "metrics.csv")["total"] for folder in (one, two)]
    np.testing.assert_allclose(*histories, rtol=0.05)
    files = [sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) for folder in (one, two)]
    assert files[0] == files[1]  # one process writes
    assert len((two / RUN / "train_log.txt").read_text().splitlines()) == 2


def test_jobs_beside_torchrun_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    done = run_recipe(GENERATED, *small_demo(tmp_path, *ONE, "--jobs=2"))
    assert done.returncode == 1 and "jobs: got 2" in done.stderr


def start_and_stop(arguments, log: Path, epoch: int, signal_number: int) -> subprocess.Popen:
    """Start a training and send it a signal once it has logged an epoch."""
    process = subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=GENERATED,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # In the background SIGINT may be ignored, which child processes inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if log.is_file() and f"epoch: {epoch}" in log.read_text():
            break
        time.sleep(0.001)
    process.send_signal(signal_number)
    return process


def test_a_training_that_was_interrupted_and_killed_ends_with_the_same_numbers(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = (*ONE, "--number_of_epochs=8", "--save_every_s=0")
    assert run_recipe(GENERATED, *small_demo(whole, *options)).returncode == 0
    run, arguments = killed / RUN, small_demo(killed, *options)
    process = start_and_stop(arguments, run / "train_log.txt", 1, signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130 and "the same command continues" in errors and "Traceback" not in errors
    start_and_stop(arguments, run / "train_log.txt", 4, signal.SIGKILL).communicate(timeout=LIMIT_S)
    assert not (run / "scores.csv").exists() and list((run / "checkpoints").glob("CKPT*"))
    assert run_recipe(GENERATED, *arguments).returncode == 0
    for name in ("scores.csv", "metrics.csv"):
        assert (run / name).read_text() == (whole / RUN / name).read_text()
    assert not (run / "checkpoints").exists() and not (run / "running.lock").exists()
