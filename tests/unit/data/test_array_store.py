"""A computation that was killed leaves nothing in the way of the next one."""

import numpy as np
import pytest

from akd_toolkit.data.array_store import CHUNK, stored_arrays

IDS = [str(index) for index in range(6 * CHUNK)]


def describe(ids):
    return {"numbers": np.array([float(name) for name in ids])}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_computation_leaves_nothing_that_the_next_one_stumbles_over(jobs, tmp_path):
    parts = tmp_path / "store" / ".toy.numbers.parts"
    parts.mkdir(parents=True)
    (parts / "describe.pickle").write_bytes(b"torn")
    arrays = stored_arrays(tmp_path / "store", "toy", IDS, ["numbers"], describe, "toy", jobs=jobs, progress=False)
    assert arrays["numbers"].tolist() == [float(name) for name in IDS] and not parts.exists()
