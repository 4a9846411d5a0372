"""Several processes that train one student together, started by ``torchrun``."""

import datetime
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from akd_toolkit.environment import sb

is_main = sb.utils.distributed.if_main_process
barrier, broadcast = sb.utils.distributed.ddp_barrier, sb.utils.distributed.ddp_broadcast
is_distributed = sb.utils.distributed.is_distributed_initialized


def rank_and_count() -> tuple[int, int]:
    """Number of this process, from 0, and how many there are.

    Example
    -------
    >>> rank_and_count()
    (0, 1)
    """
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if is_distributed() else (0, 1)


def mean_over_processes(stats: dict[str, float]) -> dict[str, float]:
    """Mean of every number over the processes that have it."""
    _, count = rank_and_count()
    if count == 1:
        return stats
    found = [None] * count
    torch.distributed.all_gather_object(found, stats)
    names = dict.fromkeys(name for each in found for name in each)
    values = {name: [each[name] for each in found if name in each] for name in names}
    return {name: sum(them) / len(them) for name, them in values.items()}


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Average the module's buffers, such as the running statistics of batch norm, over the processes."""
    for buffer in module.buffers():
        if buffer.is_floating_point():
            torch.distributed.all_reduce(buffer)
            buffer /= torch.distributed.get_world_size()


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the main process through first: what it stores in the block, the others read."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


class TrainingProcesses:
    """The main process plans, stores and reports as one process does; the others only join its trainings.

    Without ``torchrun`` there is the main process alone, and nothing happens here.

    Arguments
    ---------
    device
        ``cpu`` talks through gloo, any other through NCCL.
    """

    def __init__(self, device: str):
        self.control = None
        if not launched():
            return
        sb.utils.distributed.ddp_init_group({"distributed_backend": "gloo" if device == "cpu" else "nccl"})
        # The others wait here while the main process computes teacher features, which may take days.
        self.control = torch.distributed.new_group(backend="gloo", timeout=datetime.timedelta(days=30))
        if not is_main():
            logging.getLogger().setLevel(logging.WARNING)

    def leading(self, train: Callable) -> Callable:
        """``train`` as the main process calls it: every process trains the same run."""

        def train_together(run) -> None:
            self._announce(run)
            train(run)

        return train if self.control is None else train_together

    def follow(self, train: Callable) -> None:
        """Join every training that the main process leads, until it is done."""
        while (run := self._announce(None)) is not None:
            train(run)

    def dismiss(self) -> None:
        """Let the other processes end."""
        if self.control is not None:
            self._announce(None)
            torch.distributed.destroy_process_group()

    def _announce(self, run):
        """The run that the main process gives, in every process."""
        told = [run]
        torch.distributed.broadcast_object_list(told, src=0, group=self.control)
        return told[0]


def launched() -> bool:
    """Whether ``torchrun`` started this process."""
    return "LOCAL_RANK" in os.environ
