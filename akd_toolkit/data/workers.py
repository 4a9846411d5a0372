"""Options of DataLoaders, and the processes that draw batches beside a training."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import partial

import torch

from akd_toolkit.data.batches import collate_items

PRELOADED = ["akd_toolkit.data.dataset"]


def loader_options(draws, change: Callable | None = None, num_workers: int = 0) -> dict:
    """Options of a DataLoader for a ``WindowDataset``.

    The loader's random numbers are its own: how many workers there are changes nothing that a training draws.

    Arguments
    ---------
    draws
        Batches of ``Draw``: a sampler or a list.
    change
        See ``collate_items``.
    num_workers
        Processes that last as long as the loader; 0 makes the batches in this process.
    """
    collate = collate_items if change is None else partial(collate_items, change=change)
    options = {"batch_sampler": draws, "collate_fn": collate, "generator": torch.Generator()}
    return options | (_workers(num_workers) if num_workers else {})


def _workers(count: int) -> dict:
    """A server process without threads starts them, since a process with threads cannot be forked safely."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload(PRELOADED)
    return {
        "num_workers": count,
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
