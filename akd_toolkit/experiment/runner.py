"""Runs trainings that are planned and not done, side by side where there are several jobs."""

import importlib
import logging
from collections.abc import Callable
from functools import partial

import torch
from tqdm import tqdm

from akd_toolkit.experiment.locks import locked
from akd_toolkit.experiment.run import Run
from akd_toolkit.parallel import run_tasks
from akd_toolkit.registry import AUGMENTATIONS, GATES, LOSSES, SCHEDULES, STUDENTS, TEACHERS, WEIGHTINGS

logger = logging.getLogger(__name__)


def run_all(
    train: Callable[[Run], None], runs: list[Run], what: str, jobs: int = 1, backend: str = "local", threads: int = 1
) -> None:
    """Call ``train`` on every run that is not done; ``what`` names them on the progress bar."""
    waiting = [run for run in runs if not run.done]
    if len(waiting) < len(runs):
        logger.info("%s: %d of %d trainings were done before.", what, len(runs) - len(waiting), len(runs))
    jobs = min(jobs, len(waiting))
    do = partial(_run_one, train, threads=threads, plugins=_plugin_modules() if jobs > 1 else [])
    done_before = len(runs) - len(waiting)
    with tqdm(total=len(runs), initial=done_before, desc=what, unit="training", disable=jobs < 2) as bar:
        run_tasks(do, waiting, max(1, jobs), backend, on_done=bar.update)


def _run_one(train: Callable[[Run], None], run: Run, threads: int, plugins: list[str]) -> None:
    torch.set_num_threads(threads)
    for module in plugins:
        importlib.import_module(module)  # plugins of the recipe's own register themselves in every worker
    if run.done:  # meanwhile, by another process with other seeds or folds
        return
    with locked(run.paths.lock):
        train(run)


def _plugin_modules() -> list[str]:
    registries = (LOSSES, GATES, WEIGHTINGS, SCHEDULES, TEACHERS, STUDENTS, AUGMENTATIONS)
    return sorted({name for registry in registries for name in registry.modules()} - {"__main__"})
