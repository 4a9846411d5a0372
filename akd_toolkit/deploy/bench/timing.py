"""Calls timed one by one, and what their seconds say."""

import gc
import time
from collections.abc import Callable, Sequence

import numpy as np

FEWEST = 2  # calls a slice has at least, however slow they are


def time_calls(
    call: Callable[[], object],
    seconds: float,
    fewest: int = FEWEST,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each call, repeated until ``seconds`` have passed and ``fewest`` calls are done.

    The garbage collector rests meanwhile: its pauses belong to Python's memory, not to the model.

    Arguments
    ---------
    warm_up
        Calls before the clock starts, >= 0: caches and frequency are another's after a pause.

    Example
    -------
    >>> ticks = iter([0.0, 0.0, 0.2, 0.2, 0.5])  # begin; start and end of either call
    >>> time_calls(lambda: None, seconds=0.5, clock=lambda: next(ticks))
    [0.2, 0.3]
    """
    for _ in range(warm_up):
        call()
    collecting = gc.isenabled()
    gc.disable()
    try:
        taken, begin = [], clock()
        end = begin
        while len(taken) < fewest or end - begin < seconds:
            start = clock()
            call()
            end = clock()
            taken.append(end - start)
    finally:
        if collecting:
            gc.enable()
    return taken


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    """Percentile in ms, interpolated between neighbours.

    Example
    -------
    >>> percentile_ms([0.001, 0.002, 0.004], 50), round(percentile_ms([0.001, 0.002, 0.004], 95), 6)
    (2.0, 3.8)
    """
    return float(1e3 * np.percentile(seconds, percent))
