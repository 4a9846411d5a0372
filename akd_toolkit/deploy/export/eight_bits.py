"""Which nodes of a graph gain by 8-bit arithmetic, and how the weights of the others become 8 bits all the same."""

import math
from dataclasses import dataclass

import numpy as np

from akd_toolkit.deploy.export.names import front_end_nodes

WEIGHTED = ("Conv", "MatMul", "Gemm")
# Weights from which on a convolution gains: over an image, where each is used for every band, and over time alone.
_WIDE_ENOUGH = {4: 4096, 3: 32768}
# What only moves or scales values: an 8-bit result that passes through can be taken up in 8 bits again.
_PASSING = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "BatchNormalization", "Relu")


@dataclass(frozen=True)
class Plan:
    """Names of nodes: those that compute in 8 bits, and all whose weights take 8 bits."""

    computed: tuple[str, ...]
    weighted: tuple[str, ...]


def plan(graph) -> Plan:
    """What of an exported graph to put into 8 bits; the front end, and the classifier with what follows, stay.

    Wide convolutions compute in 8 bits. A matrix product does where its input comes from such a node, and so does a
    sum where both its inputs do. Elsewhere the conversions to 8 bits and back take longer than the arithmetic saves,
    so only the weights are stored in 8 bits: of the hybrid transformer at half width (3 s, one core, 2.2 ms in 32
    bits) all products and convolutions together save 0.1 ms in 8 bits, and the conversions between them, its layer
    norms and its softmaxes cost 0.4 ms; of the micro CNN they save 0.4 ms and cost 0.1 ms.

    Raises
    ------
    ValueError
        If no node besides the classifier has weights.
    """
    constants = {tensor.name: tensor.dims for tensor in graph.initializer}
    spared = set(front_end_nodes(graph))
    nodes = [node for node in graph.node if node.name not in spared]
    weighted = [n for n in nodes if n.op_type in WEIGHTED and len(constants.get(n.input[1], ())) > 1]  # matrices
    if len(weighted) < 2:
        raise ValueError("the file has no weights besides its classifier's; keep it in 32 bits.")
    computed, from_eight = [], set()
    for node in nodes[: nodes.index(weighted[-1])]:
        data = [name for name in node.input if name not in constants]
        inside = bool(data) and all(name in from_eight for name in data)
        takes = node in weighted and (data[0] in from_eight or _is_wide(node, constants[node.input[1]]))
        if takes or (inside and node.op_type in ("Add", "Relu") and len(data) == len(node.input)):
            computed.append(node.name)
        if takes or (inside and node.op_type == "Add") or (node.op_type in _PASSING and data[0] in from_eight):
            from_eight.update(node.output)
    return Plan(tuple(computed), tuple(node.name for node in weighted[:-1]))


def _is_wide(node, shape) -> bool:
    return node.op_type == "Conv" and math.prod(shape) >= _WIDE_ENOUGH.get(len(shape), math.inf)


def store_weights(model, names) -> int:
    """Store the float32 weights of these nodes as 8 bits with a scale for each output; how many were.

    weight[k, n] = float(stored[k, n]) * scale[n],  scale[n] = max_k |weight[k, n]| / 127

    Two standard nodes compute the weight when the file is opened (a runtime folds what is constant), so the answer
    costs what it cost before and only the file gets smaller.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    made = []
    for node in [node for node in model.graph.node if node.name in names and node.op_type in WEIGHTED]:
        name = node.input[1]
        if name not in weights:
            continue
        tensor = weights.pop(name)
        stored, scale = eight_bits(numpy_helper.to_array(tensor), _output_axis(node))
        model.graph.initializer.remove(tensor)
        for part, values in (("int8", stored), ("scale", scale)):
            model.graph.initializer.append(numpy_helper.from_array(values, f"{name}/{part}"))
        cast = helper.make_node("Cast", [f"{name}/int8"], [f"{name}/cast"], f"{name}/cast", to=TensorProto.FLOAT)
        made += [cast, helper.make_node("Mul", [f"{name}/cast", f"{name}/scale"], [name], f"{name}/mul")]
    for place, node in enumerate(made):
        model.graph.node.insert(place, node)
    return len(made) // 2


def eight_bits(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Integers from -127 to 127, and one scale for each place along ``axis``, shaped to be multiplied with them.

    Example
    -------
    >>> stored, scale = eight_bits(np.array([[1.28, -2.54], [0.5, 0.0]], dtype=np.float32), axis=0)
    >>> stored.tolist(), scale.astype(float).round(6).tolist()
    ([[64, -127], [127, 0]], [[0.02], [0.003937]])
    """
    others = tuple(place for place in range(weight.ndim) if place != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    return np.round(weight / scale).astype(np.int8), scale


def _output_axis(node) -> int:
    if node.op_type == "Conv":
        return 0
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if transposed else -1
