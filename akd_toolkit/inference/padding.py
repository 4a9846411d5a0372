"""The optional input ``lengths`` of an exported file: how much of each row of a padded batch is speech."""

from collections.abc import Callable, Sequence

import numpy as np

LENGTHS = "lengths"
MEANING = "optional input, float32 [batch] or [1]: share of the samples of a row that is speech, (0, 1]; 1 if not given"

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


def with_lengths(model):
    """A copy of an exported ``onnx.ModelProto`` that also takes ``lengths``: the speech share of each row's samples.

    Without the input, or where all shares are 1, the student runs on the batch as before. Otherwise it runs row by row,
    each cut to round(share * samples), so a row gets its result alone for any student and precision. The weights are in
    the file once, the student's nodes twice. ``lengths`` is [batch], or [1] for all rows; a share above 1 counts as 1.
    """
    import onnx

    flat, changed = model.graph, _copy(model)
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
    changed = _copy(model)
    graph = changed.graph
    student = [node for node in graph.node if not node.name.startswith(LENGTHS)]
    weights = [_copy(tensor) for tensor in graph.initializer if not tensor.name.startswith(LENGTHS)]
    del graph.node[:], graph.initializer[:], graph.input[1:]
    graph.node.extend(_renamed(student, {inner: outer for outer, inner in _AROUND.items()}))
    graph.initializer.extend(weights)
    return changed


def takes_lengths(session) -> bool:
    """Whether the file of an ONNX Runtime session has the input ``lengths``."""
    return any(value.name == LENGTHS for value in session.get_overridable_initializers())


def padded_batch(waveforms: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Waveforms as one batch, padded at the end with zeros, and the share of each row that is speech.

    Example
    -------
    >>> batch, lengths = padded_batch([np.ones(4), np.ones(2)])
    >>> batch.tolist(), lengths.tolist()
    ([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]], [1.0, 0.5])
    """
    longest = max(map(len, waveforms))
    batch = np.zeros((len(waveforms), longest), dtype=np.float32)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch, np.array([len(waveform) / longest for waveform in waveforms], dtype=np.float32)


def by_row(predict: Callable, waveforms: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The result of ``predict`` for each row alone, cut to its share of the samples: [batch, classes]."""
    # As the graph and the students do, in float32: exact for rows of up to 2^22 samples (262 s).
    counts = np.round(np.asarray(lengths, dtype=np.float32) * np.float32(waveforms.shape[1])).astype(int)
    return np.concatenate([predict(row[None, :count]) for row, count in zip(waveforms, counts, strict=True)])


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
    renamed = [_copy(node) for node in nodes]
    for node in renamed:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return renamed


def _copy(message):
    return type(message).FromString(message.SerializeToString())
