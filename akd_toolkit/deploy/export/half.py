"""A graph in half precision, with some nodes left in 32 bits.

Not by ONNX Runtime's own converter: that one leads every value between two nodes which stay in 32 bits through half
precision, where the powers of a spectrum are infinite.
"""

import numpy as np

# Sums over time and squares outgrow half precision's 65 504 on long speech; the softmax costs nothing.
FP32_OPS = ("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2", "Pow", "Sqrt", "Softmax", "Range", "Resize")


def in_half(model, fp32_nodes):
    """A copy of ``model`` whose weights and arithmetic are float16, but for the nodes named and ``FP32_OPS``.

    Values are cast where they pass from a node of one precision to one of the other, once for each value. Inputs and
    outputs of the graph stay float32.

    Arguments
    ---------
    model
        An ``onnx.ModelProto`` with floats of 32 bits and no inner graphs.
    fp32_nodes
        Names of nodes to leave as they are.
    """
    import onnx
    from onnx import TensorProto, helper

    inferred = onnx.shape_inference.infer_shapes(model)
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.graph.value_info, *graph.input)}
    types |= {name: tensor.data_type for name, tensor in weights.items()}
    outputs = {value.name for value in graph.output}
    cast: dict[tuple[str, int], str] = {}  # (value, wanted type) -> its name in that type
    nodes = []

    def wanted(name: str, to: int) -> str:
        """The value in the type that a node wants it in."""
        if types.get(name) not in (TensorProto.FLOAT, TensorProto.FLOAT16) or types[name] == to:
            return name
        if (name, to) not in cast:
            cast[name, to] = f"{name}/fp{16 if to == TensorProto.FLOAT16 else 32}"
            if name in weights:
                graph.initializer.append(_converted(weights[name], cast[name, to]))
            else:
                nodes.append(helper.make_node("Cast", [name], [cast[name, to]], name=f"cast/{cast[name, to]}", to=to))
        return cast[name, to]

    for node in list(graph.node):
        floats = [name for name in node.input if types.get(name) in (TensorProto.FLOAT, TensorProto.FLOAT16)]
        # A node that reads no floats makes them of something else, and one that writes an output writes 32 bits.
        stays = node.name in fp32_nodes or node.op_type in FP32_OPS or outputs.intersection(node.output)
        to = TensorProto.FLOAT if stays or not floats else TensorProto.FLOAT16
        node.input[:] = [wanted(name, to) for name in node.input]
        if node.op_type != "Cast":
            types |= {name: to for name in node.output if types.get(name) == TensorProto.FLOAT}
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    for field, items in ((graph.node, nodes), (graph.initializer, kept)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    return half


def _converted(tensor, name: str):
    from onnx import numpy_helper

    limit = np.finfo(np.float16).max  # -inf, which hides padding, stays what it is
    values = numpy_helper.to_array(tensor)
    clipped = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
    return numpy_helper.from_array(clipped.astype(np.float16), name)
