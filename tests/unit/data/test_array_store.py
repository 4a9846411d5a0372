"""What workers compute with is read once by each of them, and a killed computation leaves nothing in the way."""

import os
from pathlib import Path

import numpy as np
import pytest

from akd_toolkit.data.array_store import CHUNK, stored_arrays

IDS = [str(index) for index in range(6 * CHUNK)]


def make_describe(log: Path):
    """A ``describe`` that writes down each process that reads it; local, so that workers are given the class too."""

    class Describe:
        def __setstate__(self, state):
            with open(log, "a") as file:
                file.write(f"{os.getpid()}\n")

        def __getstate__(self):
            return {"some": "state"}

        def __call__(self, ids):
            return {"numbers": np.array([float(name) for name in ids])}

    return Describe()


@pytest.fixture
def store(tmp_path):
    def make(jobs, progress=False):
        describe = make_describe(tmp_path / "log")
        how = {"jobs": jobs, "progress": progress}
        return stored_arrays(tmp_path / "store", "toy", IDS, ["numbers"], describe, "toy", **how)

    return make


def test_a_worker_reads_what_it_computes_with_once_and_not_with_every_task(store, tmp_path):
    assert store(jobs=2)["numbers"].tolist() == [float(name) for name in IDS]
    readers = (tmp_path / "log").read_text().split()
    assert 1 <= len(readers) <= 2 and len(set(readers)) == len(readers)
    assert os.getpid() not in map(int, readers)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_computation_leaves_nothing_that_the_next_one_stumbles_over(jobs, store, tmp_path):
    parts = tmp_path / "store" / ".toy.numbers.parts"
    parts.mkdir(parents=True)
    (parts / "describe.pickle").write_bytes(b"torn")
    assert len(store(jobs)["numbers"]) == len(IDS)
    assert not parts.exists()
