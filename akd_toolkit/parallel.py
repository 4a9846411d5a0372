"""Independent tasks side by side: over the cores of this machine, or over the machines of a Ray cluster.

Both go through joblib. ``local`` starts worker processes here. ``ray`` takes the cluster that ``RAY_ADDRESS`` names, or
else the one that this machine belongs to, or else starts one of this machine alone for as long as the tasks last.
Every machine needs the same packages, and the folders of the task under the same paths.
"""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import contextmanager, nullcontext

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

logger = logging.getLogger(__name__)

BACKENDS = ("local", "ray")


def run_tasks(
    function: Callable, tasks: list, jobs: int = 1, backend: str = "local", on_done: Callable[[], None] | None = None
) -> list:
    """Call ``function`` on every task, ``jobs`` at a time, and return the results in the order of the tasks.

    Ctrl-C stops what is running and is passed on. With one job everything runs in this process, whatever the backend.
    Workers of this machine show no progress bars, which would overwrite each other.

    Arguments
    ---------
    function
        Takes one task; both must be picklable. What it prints with Ray stays in Ray's logs on that machine.
    tasks
        What to call it on.
    jobs
        How many run side by side, >= 1.
    backend
        ``local`` or ``ray``.
    on_done
        Called once in this process for each task that has ended, for a progress bar.

    Raises
    ------
    ValueError
        If the backend is unknown, ``jobs`` is below 1, or the cluster has fewer CPUs than there are jobs.
    ImportError
        If the backend is ``ray`` and Ray is not installed.
    ConnectionError
        If ``RAY_ADDRESS`` names a cluster that cannot be reached.
    ChildProcessError
        If a worker process died. An exception of a task itself is raised here as it is.

    Example
    -------
    >>> run_tasks(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got '{backend}'.")
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}.")
    jobs = max(1, min(jobs, len(tasks)))
    local = {"initializer": _no_bars} if jobs > 1 else {}
    with _ray_cluster(jobs) if backend == "ray" and jobs > 1 else nullcontext(local) as options:
        try:
            # One task a batch: joblib would join quick ones, and a worker keeps a whole batch to itself.
            parallel = _Counting(on_done, n_jobs=jobs, batch_size=1, **options)
            return parallel(joblib.delayed(_call)(function, task, os.getcwd()) for task in tasks)
        except BrokenProcessPool:
            raise ChildProcessError(
                f"a worker process died, most often because the memory was full; --jobs below {jobs} takes less of it."
            ) from None


def stop_workers() -> None:
    """End the worker processes of this machine that wait for more tasks, and with them the models that they hold."""
    get_reusable_executor().shutdown(wait=True)


def _no_bars() -> None:
    """In a worker that has just started: tqdm reads this when it is imported."""
    os.environ["TQDM_DISABLE"] = "1"


class _Counting(joblib.Parallel):
    """Says when a task has ended; the Ray backend offers no generator to count by."""

    def __init__(self, on_done, **options):
        super().__init__(**options)
        self.on_done = on_done
        self.said = 0

    def print_progress(self):
        while self.on_done is not None and self.said < self.n_completed_tasks:
            self.said += 1
            self.on_done()


def _call(function: Callable, task, folder: str):
    """In a worker: relative paths mean what they mean where the run was started."""
    if os.getcwd() != folder:
        try:
            os.chdir(folder)
        except OSError:
            raise FileNotFoundError(
                f"{socket.gethostname()} has no folder {folder}; share it among the machines under the same path."
            ) from None
    return function(task)


@contextmanager
def _ray_cluster(jobs: int):
    """joblib's options for a Ray cluster of at least ``jobs`` CPUs; leaves the cluster when done."""
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise ImportError(f"backend 'ray' needs the package ray ({error}): pip install '.[ray]'.") from error
    joined = ray.is_initialized()
    if not joined:
        _join(ray, jobs)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < jobs:
            raise ValueError(f"the Ray cluster has {cpus} CPUs for {jobs} jobs; give --jobs {cpus} or add machines.")
        register_ray()
        # A CPU for each job, or else Ray would put them all on one machine.
        yield {"backend": "ray", "ray_remote_args": {"num_cpus": 1}}
    except ray.exceptions.RayActorError as error:
        reason = str(error).split("\n")[0]
        raise ChildProcessError(f"a worker of the Ray cluster died ({reason}).") from error
    finally:
        if not joined:
            ray.shutdown()


def _join(ray, jobs: int) -> None:
    """Connect to the cluster of ``RAY_ADDRESS``, else to this machine's, else start one of ``jobs`` CPUs here."""
    quiet = {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS", "auto")
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()
        ray.init(address=address, **quiet)
    except OSError as error:  # ConnectionError is one
        if "RAY_ADDRESS" in os.environ:
            raise ConnectionError(
                f"no Ray cluster answers at RAY_ADDRESS={address} ({error}). Start one with ray start --head; where it "
                "asks for a token, set RAY_AUTH_MODE=token and give every machine the same one."
            ) from error
        logger.info("no Ray cluster answers on this machine; starting one of it alone, with %d CPUs.", jobs)
        ray.init(address="local", num_cpus=jobs, **quiet)
