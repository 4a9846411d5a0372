"""Tasks side by side, on this machine and on a Ray cluster of two nodes."""

import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from programs import LIMIT_S

from akd_toolkit.parallel import run_tasks

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: pip install '.[ray]'")

# (backend, what to do) -> one line of JSON
SCRIPT = """
    import json, os, sys, time
    from akd_toolkit.parallel import run_tasks

    def work(task):
        import ray
        if what == "fail" and task == 3:
            raise ValueError("speaker 3 is wrong.")
        if what == "wait":
            open(f"started{task}", "w").write(str(os.getpid()))
            time.sleep(600)
        time.sleep(0.2)
        return task**2, ray.get_runtime_context().get_node_id() if ray.is_initialized() else os.getpid()

    backend, what = sys.argv[1:]
    done = []
    try:
        results = run_tasks(work, list(range(6)), 2, backend, lambda: done.append(1))
        print(json.dumps({"results": [r for r, _ in results], "where": [w for _, w in results], "done": len(done)}))
    except (ValueError, KeyboardInterrupt) as error:
        print(json.dumps({"kind": type(error).__name__, "error": str(error)}))
"""
# Keeps a cluster of two nodes with one CPU each until its standard input is closed.
CLUSTER = """
    import sys
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    print("address", cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """(backend, what to do) -> a started process of SCRIPT that can reach a cluster of two nodes."""
    folder = tmp_path_factory.mktemp("ray")
    for name, source in {"script": SCRIPT, "cluster": CLUSTER}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}  # keeps other clusters apart
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **token}
    options = {"cwd": folder, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    keep = [sys.executable, "cluster.py"]
    with (
        open(folder / "cluster.log", "w") as log,
        subprocess.Popen(keep, env=env, stdin=subprocess.PIPE, **{**options, "stderr": log}) as keeper,
    ):  # leaving closes its standard input, which stops the cluster
        lines = iter(keeper.stdout.readline, "")
        address = next((line.split()[1] for line in lines if line.startswith("address")), None)
        assert address, (folder / "cluster.log").read_text()
        env["RAY_ADDRESS"] = address
        yield lambda *arguments: subprocess.Popen(
            [sys.executable, "script.py", *arguments],
            env=env,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **options,
        )


def answer(process) -> dict:
    try:
        printed, errors = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    assert lines, errors
    return json.loads(lines[-1])


@needs_ray
def test_two_nodes_share_the_tasks_and_give_the_results_of_local_workers(cluster):
    here, there = answer(cluster("local", "square")), answer(cluster("ray", "square"))
    assert here["results"] == there["results"] == [0, 1, 4, 9, 16, 25]
    assert len(set(there["where"])) == 2 and here["done"] == there["done"] == 6
    assert answer(cluster("ray", "fail")) == {"kind": "ValueError", "error": "speaker 3 is wrong."}


@needs_ray
def test_ctrl_c_stops_the_tasks_on_every_node(cluster, tmp_path_factory):
    process = cluster("ray", "wait")
    folder = tmp_path_factory.getbasetemp()
    deadline = time.monotonic() + LIMIT_S
    # resolved, because pytest links to the newest folder
    while len(started := {path.resolve() for path in folder.glob("ray*/started*") if path.read_text()}) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert answer(process) == {"kind": "KeyboardInterrupt", "error": ""}
    workers = [int(path.read_text()) for path in started]
    while any(os.path.exists(f"/proc/{pid}") for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(workers) == 2 and not any(os.path.exists(f"/proc/{pid}") for pid in workers)
