"""Multiplications and additions of one window, counted; what is no matrix product or convolution counts as nothing.

One multiplication with its addition is two operations, as in most papers' GFLOPs. The front end counts, since it is a
matrix product or a convolution too; logarithms, norms and activations do not.
"""

import json
import math
import tempfile
from pathlib import Path

import numpy as np

_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}  # where among its inputs the kernel is
_PRODUCTS = {"MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul"}


def operations_of_module(module, num_samples: int) -> int:
    """Operations of a PyTorch module on one waveform of ``num_samples``, front end included.

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
    # The counter does not know attention's fast path on a CPU; written out, it is two matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, num_samples, device=device))
    return counter.get_total_flops()


def operations_of_file(path, num_samples: int) -> int:
    """The same of an exported file: it is run once as it stands, and every node tells the shapes that it met."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    # Optimised, nodes would be fused and kernels laid out anew, and their shapes no longer say what is computed.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.zeros((1, num_samples), dtype=np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [event["args"] for event in events if event.get("name", "").endswith("_kernel_time")]
    return sum(_operations(node["op_name"], *map(_shapes, _types(node))) for node in nodes)


def _operations(kind: str, inputs: list[list[int]], outputs: list[list[int]]) -> int:
    """Of one node, from the shapes of what it reads and writes.

    >>> _operations("Conv", [[1, 3, 9], [8, 3, 5]], [[1, 8, 5]])  # 40 outputs, each 3 x 5 multiplications
    1200
    >>> _operations("MatMul", [[1, 7, 4], [4, 2]], [[1, 7, 2]])
    112
    >>> _operations("Relu", [[1, 7]], [[1, 7]])
    0
    """
    if kind in _CONVOLUTIONS:
        return 2 * math.prod(outputs[0]) * math.prod(inputs[_CONVOLUTIONS[kind]][1:])
    if kind in _PRODUCTS:
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    if kind in ("Gemm", "FusedGemm", "QGemm"):
        return 2 * math.prod(inputs[0]) * outputs[0][1]
    return 0


def _types(node: dict) -> tuple[list, list]:
    return node["input_type_shape"], node["output_type_shape"]


def _shapes(told: list[dict]) -> list[list[int]]:
    """``[{"float": [1, 2]}]`` -> ``[[1, 2]]``."""
    return [shape for entry in told for shape in entry.values()]
