"""A training as several processes, and a training whose process is killed without warning."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from programs import LIMIT_S, run_python

GENERATED = Path(__file__).resolve().parents[2] / "recipes" / "Generated"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone")
SMALL = [
    *("hparams/demo.yaml", "--jobs=1", "--folds=1", "--views=0", "--device=cpu", "--results_file=null"),
    *("--prepare.speakers=6", "--prepare.utterances_per_speaker_and_emotion=2"),
    "--outer_folds=[[f01, m01], [f02, m02], [f03, m03]]",
    "--teachers={log-mel: {name: logmel_statistics}}",
    "--only_run=seed17/fold1/outer",
]


def options(folder: Path, *more: str) -> list[str]:
    return [*SMALL, f"--output_folder={folder}", f"--store_folder={folder}/store", *more]


def scores(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "seed17/fold1/outer/scores.csv")


def test_two_processes_train_as_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run_python("train.py", *options(one, "--number_of_epochs=2"), cwd=GENERATED)
    both = [*TORCHRUN, "--nproc_per_node=2", "train.py"]
    saving = ("--save_every_s=0", "--checkpoints=1")  # old checkpoints are deleted by both together
    together = run_python(*both, *options(two, "--number_of_epochs=2", *saving), cwd=GENERATED)
    assert alone.returncode == 0, alone.stderr
    assert together.returncode == 0, together.stderr
    expected, found = scores(one), scores(two)
    assert list(found["ID"]) == list(expected["ID"])
    names = [name for name in expected.columns if name.startswith("p_")]
    # Batch norm sees half of a batch in either process.
    np.testing.assert_allclose(found[names], expected[names], atol=0.1)
    files = [sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) for folder in (one, two)]
    assert files[0] == files[1]  # one process writes
    assert len((two / "seed17/fold1/outer/train_log.txt").read_text().splitlines()) == 2
    histories = [pd.read_csv(folder / "seed17/fold1/outer/metrics.csv")["total"] for folder in (one, two)]
    np.testing.assert_allclose(*histories, rtol=0.05)


def test_jobs_beside_torchrun_are_refused(tmp_path):
    words = [*(word for word in options(tmp_path) if word != "--jobs=1"), "--jobs=2"]
    done = run_python(*TORCHRUN, "--nproc_per_node=1", "train.py", *words, cwd=GENERATED)
    assert done.returncode != 0 and "jobs: got 2" in done.stderr


def test_a_process_killed_in_the_middle_of_an_epoch_ends_with_the_same_numbers(tmp_path):
    whole, killed, epochs = tmp_path / "whole", tmp_path / "killed", ("--number_of_epochs=6", "--save_every_s=0")
    assert run_python("train.py", *options(whole, *epochs), cwd=GENERATED).returncode == 0
    run = killed / "seed17/fold1/outer"
    for saved in (1, 3):  # as a checkpoint is saved, and again later
        process = subprocess.Popen(
            [sys.executable, "train.py", *options(killed, *epochs)],
            cwd=GENERATED,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        deadline, log = time.monotonic() + LIMIT_S, run / "train_log.txt"
        while time.monotonic() < deadline and process.poll() is None:
            if log.is_file() and f"epoch: {saved}" in log.read_text():
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (run / "scores.csv").exists()
    assert list((run / "checkpoints").glob("CKPT*"))
    assert run_python("train.py", *options(killed, *epochs), cwd=GENERATED).returncode == 0
    assert (run / "scores.csv").read_text() == (whole / "seed17/fold1/outer/scores.csv").read_text()
    assert (run / "metrics.csv").read_text() == (whole / "seed17/fold1/outer/metrics.csv").read_text()
    assert not (run / "checkpoints").exists()
