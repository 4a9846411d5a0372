"""Constants that a few nodes can compute do not belong into a file: the front end's cosines and mel triangles.

ONNX Runtime computes such nodes once, when it opens the file, and never again; the numbers are the same to the bit.
"""

import numpy as np
import torch

from akd_toolkit.models.features.power import cosines_of_a_turn, folded_cosines

SMALL = 4096  # bytes: below this there is nothing to gain


def compact(model) -> int:
    """Replace, in place, what can be computed; returns the number of bytes that the constants took.

    Recognised by value alone, so that it does not matter who has renamed or copied them: matrices of ``FoldedPower``,
    and matrices whose every row has at most two neighbouring numbers other than 0, as mel triangles are.

    Arguments
    ---------
    model
        An ``onnx.ModelProto``.
    """
    from onnx import numpy_helper

    saved = 0
    for initializer in list(model.graph.initializer):
        values = numpy_helper.to_array(initializer)
        if values.nbytes < SMALL or values.ndim != 2 or values.dtype != np.float32:
            continue
        nodes = _as_cosines(values, initializer.name, model.graph) or _as_bands(values, initializer.name, model.graph)
        if nodes:
            model.graph.initializer.remove(initializer)
            for place, node in enumerate(nodes):
                model.graph.node.insert(place, node)
            saved += values.nbytes
    return saved


def _as_cosines(values: np.ndarray, name: str, graph) -> list:
    """Nodes for cos(2 pi (k c - lag) / window); none if the values are no such matrix."""
    found = _cosine_matrix(values)
    if found is None:
        return []
    window, bins, shared, lag = found
    turn = cosines_of_a_turn(window).float().numpy()
    rows = np.arange(len(values), dtype=np.int32)[:, None]
    table, row, bin_, turns = (
        _constant(graph, f"front_end/{what}", array)
        for what, array in (
            (f"cosines_of_{window}", turn),
            (f"rows_of_{len(rows)}", rows),
            (f"{name}/bins", bins.numpy().astype(np.int32)[None]),
            (f"turn_of_{window}", np.array(window, dtype=np.int32)),
        )
    )
    make = _Maker(name)
    phase = make("Mul", [row, bin_])
    if lag:
        phase = make("Add", [phase, _constant(graph, f"front_end/lag_of_{window}", np.array(window - lag, np.int32))])
    place = make("Mod", [phase, turns])
    if not shared:
        make("Gather", [table, place], last=True)
        return make.nodes
    halves = np.where(np.isin(rows, shared), 0.5, 1.0).astype(np.float32)
    read = make("Gather", [table, place])
    make("Mul", [read, _constant(graph, f"{name}/halves", halves)], last=True)
    return make.nodes


def _cosine_matrix(values: np.ndarray):
    """Window, bins, halved rows and lag of a matrix that ``folded_cosines`` has made; None for any other."""
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


def _as_bands(values: np.ndarray, name: str, graph) -> list:
    """Nodes for a matrix with at most two numbers in a row, side by side; none if it is no such matrix.

    matrix[k, j] = low[k] [j = at[k]] + high[k] [j = at[k] + 1]
    """
    columns = values.shape[1]
    filled = values != 0
    at = filled.argmax(axis=1)
    low = np.take_along_axis(values, at[:, None], axis=1)
    after = np.minimum(at + 1, columns - 1)
    high = np.where(at[:, None] + 1 < columns, np.take_along_axis(values, after[:, None], axis=1), 0).astype(np.float32)
    if ((filled.sum(axis=1)) != (low != 0)[:, 0].astype(int) + (high != 0)[:, 0]).any():
        return []
    place, column, low, high, one = (
        _constant(graph, f"{name}/{what}", array)
        for what, array in (
            ("at", at.astype(np.int32)[:, None]),
            ("columns", np.arange(columns, dtype=np.int32)[None]),
            ("low", low),
            ("high", high),
            ("one", np.array(1, dtype=np.int32)),
        )
    )
    make = _Maker(name)
    parts = []
    for number, where in ((low, place), (high, make("Add", [place, one]))):
        chosen = make("Cast", [make("Equal", [column, where])], to=1)  # 1 is float32
        parts.append(make("Mul", [chosen, number]))
    make("Add", parts, last=True)
    return make.nodes


class _Maker:
    """Makes nodes whose names begin with that of the constant which they compute."""

    def __init__(self, name: str):
        self.name, self.nodes = name, []

    def __call__(self, op: str, inputs: list[str], last: bool = False, **attributes) -> str:
        from onnx import helper

        output = self.name if last else f"{self.name}/{len(self.nodes)}"
        title = f"front_end/{self.name}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=title, **attributes))
        return output


def _constant(graph, name: str, values: np.ndarray) -> str:
    """The name of an initializer that holds ``values``; added where there is none of this name."""
    from onnx import numpy_helper

    if name not in {initializer.name for initializer in graph.initializer}:
        graph.initializer.append(numpy_helper.from_array(values, name))
    return name
