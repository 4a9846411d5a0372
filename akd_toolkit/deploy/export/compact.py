"""Smaller files: the front end's cosines and mel triangles are replaced by a few nodes that compute them.

ONNX Runtime computes such nodes once, when it opens the file; the values are the same to the bit.
"""

import numpy as np
import torch

from akd_toolkit.models.features.power import cosines_of_a_turn, folded_cosines

MIN_BYTES = 4096  # smaller constants stay as they are


def compact(model) -> int:
    """Replace computable constants of an ``onnx.ModelProto`` in place; returns the bytes that they took.

    Found by value, so it does not matter how an exporter named them: the matrices of ``FoldedPower``, and matrices
    with at most two neighbouring non-zero values in a row, such as mel triangles.
    """
    from onnx import numpy_helper

    saved = 0
    for initializer in list(model.graph.initializer):
        values = numpy_helper.to_array(initializer)
        if values.nbytes < MIN_BYTES or values.ndim != 2 or values.dtype != np.float32:
            continue
        replacement = _Replacement(initializer.name, model.graph)
        if _add_cosines(replacement, values) or _add_bands(replacement, values):
            model.graph.initializer.remove(initializer)
            for place, node in enumerate(replacement.nodes):
                model.graph.node.insert(place, node)
            saved += values.nbytes
    return saved


class _Replacement:
    """Nodes that compute the constant ``name``."""

    def __init__(self, name: str, graph):
        self.name, self.graph, self.nodes = name, graph, []

    def node(self, op: str, *inputs: str, last: bool = False, **attributes) -> str:
        from onnx import helper

        output = self.name if last else f"{self.name}/{len(self.nodes)}"
        title = f"front_end/{self.name}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=title, **attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """Name of an initializer with these values, shared by all replacements."""
        from onnx import numpy_helper

        if name not in {initializer.name for initializer in self.graph.initializer}:
            self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def _add_cosines(made: _Replacement, values: np.ndarray) -> bool:
    """Compute cos(2 pi (k c - lag) / window) from one period of the cosine; False for any other matrix."""
    found = _cosine_parameters(values)
    if found is None:
        return False
    window, bins, shared, lag = found
    rows = np.arange(len(values), dtype=np.int32)[:, None]
    table = made.constant(f"front_end/cosines_of_{window}", cosines_of_a_turn(window).float().numpy())
    row = made.constant(f"front_end/rows_of_{len(rows)}", rows)
    bin_ = made.constant(f"front_end/{made.name}/bins", bins.numpy().astype(np.int32)[None])
    period = made.constant(f"front_end/turn_of_{window}", np.array(window, dtype=np.int32))
    phase = made.node("Mul", row, bin_)
    if lag:
        shift = made.constant(f"front_end/lag_of_{window}", np.array(window - lag, np.int32))
        phase = made.node("Add", phase, shift)
    index = made.node("Mod", phase, period)
    if not shared:
        made.node("Gather", table, index, last=True)
    else:
        halves = np.where(np.isin(rows, shared), 0.5, 1.0).astype(np.float32)
        cosines = made.node("Gather", table, index)
        made.node("Mul", cosines, made.constant(f"{made.name}/halves", halves), last=True)
    return True


def _cosine_parameters(values: np.ndarray):
    """(window, bins, halved rows, lag) of a matrix made by ``folded_cosines``; None for any other."""
    run, count = values.shape
    window = 4 * (run - 1)
    if np.ptp(values[0]):  # the cosine of 0 is the same for all bins
        return None
    for lag in (0, window // 4):
        for first in range(window // 2):
            bins = torch.arange(first, first + 2 * count, 2)
            if not np.array_equal(folded_cosines(window, bins[:1], lag=lag).float()[1:-1, 0], values[1:-1, 0]):
                continue
            for shared in ((), (0,), (run - 1,), (0, run - 1)):
                if np.array_equal(folded_cosines(window, bins, shared, lag).float().numpy(), values):
                    return window, bins, shared, lag
    return None


def _add_bands(made: _Replacement, values: np.ndarray) -> bool:
    """matrix[k, j] = low[k] [j = at[k]] + high[k] [j = at[k] + 1]; False for any other matrix."""
    columns = values.shape[1]
    filled = values != 0
    at = filled.argmax(axis=1)[:, None]
    low = np.take_along_axis(values, at, axis=1)
    after = np.take_along_axis(values, np.minimum(at + 1, columns - 1), axis=1)
    high = np.where(at + 1 < columns, after, 0).astype(np.float32)
    if (filled.sum(axis=1, keepdims=True) != (low != 0).astype(int) + (high != 0)).any():
        return False
    place = made.constant(f"{made.name}/at", at.astype(np.int32))
    column = made.constant(f"{made.name}/columns", np.arange(columns, dtype=np.int32)[None])
    low, high = made.constant(f"{made.name}/low", low), made.constant(f"{made.name}/high", high)
    next_place = made.node("Add", place, made.constant(f"{made.name}/one", np.array(1, dtype=np.int32)))
    parts = []
    for number, where in ((low, place), (high, next_place)):
        chosen = made.node("Cast", made.node("Equal", column, where), to=1)  # 1 is float32
        parts.append(made.node("Mul", chosen, number))
    made.node("Add", *parts, last=True)
    return True
