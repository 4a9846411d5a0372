"""Independent tasks side by side, by joblib: on the cores of this machine, or on a Ray cluster.

``ray`` uses the cluster of ``RAY_ADDRESS``, else the one that this machine belongs to, else it starts one here for as
long as the tasks run. Every machine needs the same packages, and the same folders under the same paths.
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


def run_tasks(
    function: Callable, tasks: list, jobs: int = 1, backend: str = "local", on_done: Callable[[], None] | None = None
) -> list:
    """Call ``function`` on every task, ``jobs`` at a time; the results come in the order of the tasks.

    With one job everything runs in this process. Workers show no progress bars.

    Arguments
    ---------
    function
        Takes one task; both must be picklable.
    jobs
        How many run side by side, >= 1.
    backend
        ``local`` or ``ray``.
    on_done
        Called in this process after each task, for a progress bar.

    Raises
    ------
    ValueError
        If the cluster has fewer CPUs than jobs.
    ImportError
        If Ray is not installed.
    ConnectionError
        If the cluster of ``RAY_ADDRESS`` cannot be reached.
    ChildProcessError
        If a worker process died. Exceptions of a task are raised as they are.

    Example
    -------
    >>> run_tasks(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    jobs = max(1, min(jobs, len(tasks)))
    local = {"initializer": _hide_progress} if jobs > 1 else {}
    with _ray_cluster(jobs) if backend == "ray" and jobs > 1 else nullcontext(local) as options:
        try:
            # batch_size 1, because a worker keeps a whole batch to itself
            parallel = _Counting(on_done, n_jobs=jobs, batch_size=1, **options)
            return parallel(joblib.delayed(_call)(function, task, os.getcwd()) for task in tasks)
        except BrokenProcessPool:
            raise ChildProcessError(
                f"a worker process died, most often because the memory was full; lower --jobs ({jobs})."
            ) from None


def stop_workers() -> None:
    """End the idle worker processes of this machine, which frees the models in their memory."""
    get_reusable_executor().shutdown(wait=True)


def _hide_progress() -> None:
    os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported in the worker


class _Counting(joblib.Parallel):
    """Reports each finished task; joblib's Ray backend has no generator to count by."""

    def __init__(self, on_done, **options):
        super().__init__(**options)
        self.on_done = on_done
        self.reported = 0

    def print_progress(self):
        while self.on_done is not None and self.reported < self.n_completed_tasks:
            self.reported += 1
            self.on_done()


def _call(function: Callable, task, folder: str):
    """Run a task in a worker, in the folder of the main process, so that relative paths are valid."""
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
    """joblib's options for a Ray cluster of at least ``jobs`` CPUs; disconnects at the end."""
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise ImportError(f"backend 'ray' needs the package ray ({error}): pip install '.[ray]'.") from error
    joined = ray.is_initialized()
    if not joined:
        _connect(ray, jobs)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < jobs:
            raise ValueError(f"the Ray cluster has {cpus} CPUs for {jobs} jobs; give --jobs {cpus} or add machines.")
        register_ray()
        # One CPU for each job; otherwise Ray puts them all on one machine.
        yield {"backend": "ray", "ray_remote_args": {"num_cpus": 1}}
    except ray.exceptions.RayActorError as error:
        raise ChildProcessError(f"a worker of the Ray cluster died ({str(error).splitlines()[0]}).") from error
    finally:
        if not joined:
            ray.shutdown()


def _connect(ray, jobs: int) -> None:
    quiet = {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS", "auto")
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself retries for minutes
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()
        ray.init(address=address, **quiet)
    except OSError as error:  # includes ConnectionError
        if "RAY_ADDRESS" in os.environ:
            raise ConnectionError(
                f"no Ray cluster was found at RAY_ADDRESS={address} ({error}). Start one with ray start --head; if it "
                "requires a token, set RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN on every machine."
            ) from error
        logger.info("no Ray cluster on this machine; starting one here with %d CPUs.", jobs)
        ray.init(address="local", num_cpus=jobs, **quiet)
