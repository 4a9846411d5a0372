"""Time of calls, and operations of one window."""

import gc
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}  # index of the kernel in the inputs
_PRODUCTS = {"MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul"}


def time_calls(
    call: Callable[[], object],
    seconds: float,
    fewest: int = 2,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each call, until ``seconds`` have passed and ``fewest`` calls are done; no garbage is collected.

    ``warm_up`` calls before are not timed.
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
    """Percentile in ms, interpolated between neighbours."""
    return float(1e3 * np.percentile(seconds, percent))


def operations_of_module(module, num_samples: int) -> int:
    """Operations of a PyTorch module on one waveform: matrix products and convolutions, front end included.

    One multiplication with its addition is two operations.

    Example
    -------
    >>> import torch
    >>> operations_of_module(torch.nn.Linear(100, 10, bias=False), num_samples=100)
    2000
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    device = next(module.parameters()).device
    # The counter does not know the fused attention of a CPU; the MATH backend is two matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, num_samples, device=device))
    return counter.get_total_flops()


def operations_of_file(path, num_samples: int) -> int:
    """The same for an exported file, from the shapes in the profile of one run without optimisation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.zeros((1, num_samples), dtype=np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [event["args"] for event in events if event.get("name", "").endswith("_kernel_time")]
    return sum(
        _operations(n["op_name"], _shapes(n["input_type_shape"]), _shapes(n["output_type_shape"])) for n in nodes
    )


def _operations(kind: str, inputs: list[list[int]], outputs: list[list[int]]) -> int:
    """Operations of one node from the shapes of its inputs and outputs."""
    if kind in _CONVOLUTIONS:
        return 2 * math.prod(outputs[0]) * math.prod(inputs[_CONVOLUTIONS[kind]][1:])
    if kind in _PRODUCTS:
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    if kind in ("Gemm", "FusedGemm", "QGemm"):
        return 2 * math.prod(inputs[0]) * outputs[0][1]
    return 0


def _shapes(profiled: list[dict]) -> list[list[int]]:
    """``[{"float": [1, 2]}]`` -> ``[[1, 2]]``."""
    return [shape for entry in profiled for shape in entry.values()]
