import io
import json

import numpy as np
import pytest

from akd_toolkit.deploy.bench import worker
from akd_toolkit.deploy.bench.worker import serve


@pytest.fixture
def heard(monkeypatch):
    """A loader that notes what its model hears; it refuses more than two at once."""
    shapes = []

    def load(place, threads):
        if place == "gone":
            raise FileNotFoundError("no such file\nsecond line")

        def answer(waveforms):
            shapes.append((place, threads, waveforms.shape))
            if len(waveforms) > 2:
                raise MemoryError("too many")

        return answer

    monkeypatch.setitem(worker.LOADERS, "noting", load)
    return shapes


def ask(tmp_path, requests, place="model"):
    np.save(tmp_path / "voices.npy", np.zeros((4, 160), dtype=np.float32))
    job = {"voices": str(tmp_path / "voices.npy"), "threads": 3, "on_gpu": False, "whole": ["noting", place]}
    job["features"] = ["noting", "front"]
    replies = io.StringIO()
    serve(iter([json.dumps(line) for line in [job, *requests]]), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_a_model_is_loaded_once_and_tells_its_memory(tmp_path, heard):
    told = ask(tmp_path, [["load", {}]])
    assert told[0]["memory_bytes"] >= 0
    assert heard == [("model", 3, (1, 160))] * 3


def test_a_slice_tells_the_seconds_of_each_call(tmp_path, heard):
    warm, timed = ask(
        tmp_path,
        [["warm", {"what": "whole", "batch": 2}], ["time", {"what": "features", "batch": 1, "seconds": 1e-9}]],
    )
    assert warm["seconds"] >= 0
    assert len(timed["seconds"]) == 2 and min(timed["seconds"]) >= 0
    assert heard == [("model", 3, (2, 160))] * 2 + [("front", 3, (1, 160))] * 3  # one to warm up, two are timed


def test_a_failure_is_a_reply_and_the_worker_goes_on(tmp_path, heard):
    told = ask(tmp_path, [["warm", {"what": "whole", "batch": 4}], ["warm", {"what": "whole", "batch": 1}]])
    assert told[0] == {"error": "MemoryError: too many"} and "seconds" in told[1]


def test_what_cannot_be_loaded_says_so_in_one_line(tmp_path, heard):
    assert ask(tmp_path, [["load", {}]], place="gone") == [{"error": "FileNotFoundError: no such file"}]


def test_memory_is_told_in_bytes():
    from akd_toolkit.deploy.bench.memory import peak_bytes, resident_bytes

    held = np.ones(8_000_000)  # 64 MB
    assert 64e6 < resident_bytes() <= peak_bytes() < 1e12
    del held
