"""Tasks side by side, by processes of this machine and by Ray."""

import importlib.util
import os
import sys

import pytest
from programs import run_python

from akd_toolkit.parallel import run_tasks

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: pip install '.[ray]'")

SCRIPT = """
from akd_toolkit.parallel import run_tasks

def square(task):
    if task < 0:
        raise ValueError("a negative task.")
    return task**2

done = []
print(run_tasks(square, [3, 1, 2], 2, "ray", lambda: done.append(1)), len(done))
try:
    run_tasks(square, [1, -1], 2, "ray")
except ValueError as error:
    print(error)
"""


def square(task):
    return task**2


def fail(task):
    if task == 2:
        raise ValueError("speaker 2 is wrong.")
    return task


def die(task):
    os._exit(3)


def folder_of(task):
    return os.getcwd()


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_each_task_is_counted(jobs):
    done = []
    assert run_tasks(square, [3, 1, 2], jobs, on_done=lambda: done.append(1)) == [9, 1, 4]
    assert len(done) == 3 and run_tasks(square, [], jobs) == []


def test_workers_raise_errors_of_tasks_and_work_in_the_folder_of_the_run(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"^speaker 2 is wrong\.$"):
        run_tasks(fail, [1, 2, 3, 4], 2)
    monkeypatch.chdir(tmp_path)
    assert run_tasks(folder_of, [1, 2], 2) == [str(tmp_path.resolve())] * 2


def test_a_worker_that_dies_is_one_sentence():
    with pytest.raises(ChildProcessError, match="--jobs"):
        run_tasks(die, [1, 2], 2)


def test_a_missing_ray_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[ray\]'"):
        run_tasks(square, [1, 2], 2, "ray")


@needs_ray
def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:1")
    with pytest.raises(ConnectionError, match="RAY_ADDRESS=ray://127.0.0.1:1"):
        run_tasks(square, [1, 2], 2, "ray")


@needs_ray
def test_ray_gives_the_results_and_errors_of_local_workers(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    done = run_python("-c", SCRIPT, cwd=tmp_path)
    assert done.stdout == "[9, 1, 4] 3\na negative task.\n", done.stderr
