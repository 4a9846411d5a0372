"""Processes that draw batches beside a training: options of a DataLoader."""

import multiprocessing
import os
import threading

import torch

PRELOADED = ["akd_toolkit.data.dataset"]


def worker_options(num_workers: int) -> dict:
    """Options of a DataLoader for ``num_workers`` processes that last as long as it does; 0 draws in this process.

    Workers are started by a server process without threads, since a process with threads cannot be forked safely; each
    opens the stores itself. The loader's generator is its own: how many workers there are changes nothing that the
    training draws.

    Example
    -------
    >>> sorted(worker_options(0))
    ['generator']
    """
    options = {"generator": torch.Generator()}
    if num_workers == 0:
        return options
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(PRELOADED)
    return options | {
        "num_workers": num_workers,
        "persistent_workers": True,
        "multiprocessing_context": context,
        "worker_init_fn": end_with_parent,
    }


def end_with_parent(worker: int) -> None:
    """Let this worker end when the training's process has ended, however that was killed.

    PyTorch's workers look at their parent process, which is here the server that started them.
    """
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
