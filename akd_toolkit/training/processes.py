"""Several processes that train one student together (``torchrun``): who writes, and who trains on which rows."""

from collections.abc import Iterator
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
