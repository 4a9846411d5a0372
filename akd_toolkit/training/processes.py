"""Training of one student by several processes, started by ``torchrun``."""

import datetime
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from akd_toolkit.environment import sb

is_main = sb.utils.distributed.if_main_process
barrier, broadcast = sb.utils.distributed.ddp_barrier, sb.utils.distributed.ddp_broadcast


def rank_and_count() -> tuple[int, int]:
    """Rank of this process and number of processes.

    Example
    -------
    >>> rank_and_count()
    (0, 1)
    """
    distributed = sb.utils.distributed.is_distributed_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)


def mean_over_processes(stats: dict[str, float]) -> dict[str, float]:
    """Mean of every value over the processes that have it."""
    _, count = rank_and_count()
    if count == 1:
        return stats
    found = [None] * count
    torch.distributed.all_gather_object(found, stats)
    values: dict[str, list[float]] = {}
    for each in found:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return {name: sum(each) / len(each) for name, each in values.items()}


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Average the module's buffers, such as running statistics of batch norm, over the processes."""
    for buffer in module.buffers():
        if buffer.is_floating_point():
            torch.distributed.all_reduce(buffer)
            buffer /= torch.distributed.get_world_size()


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block in the main process first; the others then read what it has stored."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


class BrainOfProcesses(sb.Brain):
    """A Brain whose batches are shared out by the sampler, with DDP on GPUs or CPUs."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.find_unused_parameters |= self.distributed_launch  # an Adapter may be frozen

    def _train_loader_specifics(self, dataset, loader_kwargs) -> dict:
        """Unchanged: the sampler gives each process its share of every batch."""
        return loader_kwargs

    def _wrap_distributed(self) -> None:
        """DDP; on the CPU without SyncBatchNorm, which needs a GPU."""
        if not self.distributed_launch or self.device_type != "cpu":
            super()._wrap_distributed()
            return
        for name, module in self.modules.items():
            if any(p.requires_grad for p in module.parameters()):
                self.modules[name] = DistributedDataParallel(module, find_unused_parameters=True)


class TrainingProcesses:
    """The main process runs the protocol; the others only take part in its trainings.

    Without ``torchrun`` there is only the main process, and nothing happens here.

    Arguments
    ---------
    device
        ``cpu`` uses gloo, any other NCCL.
    """

    def __init__(self, device: str):
        self.control = None
        if not launched():
            return
        sb.utils.distributed.ddp_init_group({"distributed_backend": "gloo" if device == "cpu" else "nccl"})
        # The others wait while the main process computes teacher features, which may take days.
        self.control = torch.distributed.new_group(backend="gloo", timeout=datetime.timedelta(days=30))
        if not is_main():
            logging.getLogger().setLevel(logging.WARNING)

    def leading(self, train: Callable) -> Callable:
        """``train`` for the main process: it sends each run to the other processes first."""

        def train_together(run) -> None:
            self._share(run)
            train(run)

        return train if self.control is None else train_together

    def follow(self, train: Callable) -> None:
        """Take part in every training of the main process until it is finished."""
        while (run := self._share(None)) is not None:
            train(run)
        self._leave()

    def dismiss(self) -> None:
        """End the other processes."""
        if self.control is not None:
            self._share(None)
            self._leave()

    def _share(self, run):
        """Send the run of the main process to all."""
        shared = [run]
        torch.distributed.broadcast_object_list(shared, src=0, group=self.control)
        return shared[0]

    def _leave(self) -> None:
        """Join the threads of both groups; a process that ends while they run may abort."""
        self.control = None  # the last reference
        torch.distributed.destroy_process_group()


def launched() -> bool:
    """Whether ``torchrun`` started this process."""
    return "LOCAL_RANK" in os.environ
