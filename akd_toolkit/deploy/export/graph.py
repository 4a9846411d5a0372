"""Changes of an exported graph: named front end, optional input ``lengths``, computed instead of stored constants."""

import ast
from itertools import product

import numpy as np
import torch

from akd_toolkit.inference.session import LENGTHS
from akd_toolkit.models.features.power import cosines_of_a_turn, folded_cosines

FRONT_END = "front_end/"  # prefix of the names of the front end's nodes
_SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter notes the modules that a node came from, outermost first
MIN_BYTES = 4096  # smaller constants stay as they are

# The graph around the student, whose nodes come after the If. Without padding they get the whole batch. Otherwise they
# get the first row, cut to its samples, and a loop, whose body gets a copy of the nodes, runs the other rows.
_GRAPH = """
<ir_version: 10, opset_import: ["": 18]>
around (float[batch, samples] waveform, float[1] lengths = {{1}}) => (float[batch, {classes}] probabilities)
<float lengths_all = {{1}}, float lengths_none = {{0}}, bool lengths_true = {{1}}, int64[1] lengths_zero = {{0}},
 int64[1] lengths_one = {{1}}, int64[2] lengths_rows = {{-1, {classes}}}>
{{
    lengths_excess = Sub (lengths, lengths_all)
    lengths_distance = ReduceL1 <keepdims = 0> (lengths_excess)
    lengths_unpadded = Equal (lengths_distance, lengths_none)
    lengths_speech, lengths_others = If (lengths_unpadded) <
        then_branch = all_rows () => (float[rows, cut] lengths_as_given, int64[others] lengths_no_others)
        {{
            lengths_as_given = Identity (waveform)
            lengths_no_others = Shape <start = 2> (waveform)
        }},
        else_branch = first_row () => (float[rows, cut] lengths_first, int64[others] lengths_behind)
        <int64[1] lengths_end = {{9223372036854775807}}>
        {{
            lengths_batch = Shape <start = 0, end = 1> (waveform)
            lengths_samples = Shape <start = 1> (waveform)
            lengths_shares = Expand (lengths, lengths_batch)
            lengths_width = Cast <to = 1> (lengths_samples)
            lengths_exact = Mul (lengths_shares, lengths_width)
            lengths_rounded = Round (lengths_exact)
            lengths_counts = Cast <to = 7> (lengths_rounded)
            lengths_behind = Slice (lengths_counts, lengths_one, lengths_end)
            lengths_first_line = Gather (waveform, lengths_zero)
            lengths_first_count = Gather (lengths_counts, lengths_zero)
            lengths_first = Slice (lengths_first_line, lengths_zero, lengths_first_count, lengths_one)
        }}
    >
    lengths_turns = Shape (lengths_others)
    lengths_stacked = Loop (lengths_turns, lengths_true) <
        body = row (int64 lengths_turn, bool lengths_on) => (bool lengths_go, float[rows, {classes}] lengths_row)
        {{
            lengths_go = Identity (lengths_on)
            lengths_number = Add (lengths_turn, lengths_one)
            lengths_line = Gather (waveform, lengths_number)
            lengths_place = Add (lengths_turn, lengths_zero)
            lengths_count = Gather (lengths_others, lengths_place)
            lengths_alone = Slice (lengths_line, lengths_zero, lengths_count, lengths_one)
        }}
    >
    lengths_joined = Reshape (lengths_stacked, lengths_rows)
    probabilities = Concat <axis = 0> (lengths_answer, lengths_joined)
}}
"""
_AROUND = {"waveform": "lengths_speech", "probabilities": "lengths_answer"}  # the student's ends within


def name_front_end(graph) -> None:
    """Prefix the names of all nodes that a module ``front_end`` wrote with ``front_end/``, in place.

    Quantisers skip these nodes and the benchmark times them alone. A node without the exporter's note on its module
    (an optimiser inserted it) belongs to the front end if all computed values that it reads come from there.
    """
    from_front_end: dict[str, bool] = {}  # for every computed value
    for node in graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), None)
        if scopes is not None:
            inside = any("front_end" in scope.split(".") for scope in ast.literal_eval(scopes))
        else:
            origins = [from_front_end[value] for value in node.input if value in from_front_end]
            inside = bool(origins) and all(origins)
        if inside:
            node.name = FRONT_END + node.name.removeprefix(FRONT_END)
        from_front_end.update(dict.fromkeys(node.output, inside))


def front_end_nodes(graph) -> set[str]:
    """Names of the front end's nodes."""
    return {node.name for node in graph.node if node.name.startswith(FRONT_END)}


def with_lengths(model):
    """A copy of an exported ``onnx.ModelProto`` that also takes ``lengths``: the speech share of each row's samples.

    Without the input, or where all shares are 1, the student runs on the batch as before. Otherwise it runs row by row,
    each cut to round(share * samples), so a row gets its result alone for any student and precision. The weights are in
    the file once, the student's nodes twice. ``lengths`` is [batch], or [1] for all rows; a share above 1 counts as 1.
    """
    import onnx

    flat, changed = model.graph, copied(model)
    classes = flat.output[0].type.tensor_type.shape.dim[1].dim_value
    around = onnx.parser.parse_model(_GRAPH.format(classes=classes)).graph
    for node in around.node:
        node.name = f"{LENGTHS}/{node.output[0]}"
    behind = [node.op_type for node in around.node].index("If") + 1
    loop = next(node for node in around.node if node.op_type == "Loop")
    loop.attribute[0].g.node.extend(_student_of_a_row(flat))
    graph = changed.graph
    del graph.node[:]
    graph.node.extend([*around.node[:behind], *_renamed(flat.node, _AROUND), *around.node[behind:]])
    graph.initializer.extend(around.initializer)
    graph.input.append(around.input[1])
    graph.input[1].type.tensor_type.shape.dim[0].dim_param = "batch_or_1"
    return changed


def without_lengths(model):
    """Undo ``with_lengths``: a graph without control flow; another model is returned unchanged."""
    if LENGTHS not in [value.name for value in model.graph.input]:
        return model
    changed = copied(model)
    graph = changed.graph
    student = [node for node in graph.node if not node.name.startswith(LENGTHS)]
    weights = [copied(tensor) for tensor in graph.initializer if not tensor.name.startswith(LENGTHS)]
    del graph.node[:], graph.initializer[:], graph.input[1:]
    graph.node.extend(_renamed(student, {inner: outer for outer, inner in _AROUND.items()}))
    graph.initializer.extend(weights)
    return changed


def _student_of_a_row(flat) -> list:
    """A copy of the student's nodes for the body of the loop, with short names.

    Values that depend on constants alone are read from the graph around, except the weights of 8-bit nodes: a runtime
    fuses a node with its weight's DequantizeLinear only if no other node reads it.
    """
    names, nodes = {"waveform": "lengths_alone"}, []
    for node in flat.node:
        if node.op_type == "DequantizeLinear" or any(name in names for name in node.input):
            names |= {name: f"_{len(names) + place}" for place, name in enumerate(node.output) if name}
            nodes.append(node)
    nodes = _renamed(nodes, {**names, "probabilities": "lengths_row"})
    for node in nodes:
        node.ClearField("name")
    return nodes


def _renamed(nodes, names: dict[str, str]) -> list:
    renamed = [copied(node) for node in nodes]
    for node in renamed:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return renamed


def copied(message):
    """A copy of a protobuf message."""
    return type(message).FromString(message.SerializeToString())


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

        place = f"{self.name}/{len(self.nodes)}"
        output = self.name if last else place
        self.nodes.append(helper.make_node(op, inputs, [output], name=FRONT_END + place, **attributes))
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
        phase = made.node("Add", phase, made.constant(f"front_end/lag_of_{window}", np.array(window - lag, np.int32)))
    index = made.node("Mod", phase, period)
    cosines = made.node("Gather", table, index, last=not shared)
    if shared:
        halves = np.where(np.isin(rows, shared), 0.5, 1.0).astype(np.float32)
        made.node("Mul", cosines, made.constant(f"{made.name}/halves", halves), last=True)
    return True


def _cosine_parameters(values: np.ndarray):
    """(window, bins, halved rows, lag) of a matrix made by ``folded_cosines``; None for any other."""
    run, count = values.shape
    window = 4 * (run - 1)
    if np.ptp(values[0]):  # the cosine of 0 is the same for all bins
        return None
    for lag, first in product((0, window // 4), range(window // 2)):
        bins = torch.arange(first, first + 2 * count, 2)
        if np.array_equal(folded_cosines(window, bins[:1], lag=lag).float()[1:-1, 0], values[1:-1, 0]):
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
