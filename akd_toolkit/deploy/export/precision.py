"""An exported file in half precision or in 8-bit integers; the front end stays in 32 bits in both."""

import math
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.export.graph import compact, copied, front_end_nodes, with_lengths, without_lengths
from akd_toolkit.deploy.export.onnx import quiet
from akd_toolkit.inference.session import LENGTHS, MIN_SAMPLES, load_model

MODES = ("static", "dynamic")
# Sums over time and squares exceed half precision's 65 504 on long speech; the softmax costs nothing.
FP32_OPS = ("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2", "Pow", "Sqrt", "Softmax", "Range", "Resize")
WEIGHTED = ("Conv", "MatMul", "Gemm")
# Weights from which a convolution gains by 8-bit arithmetic, by the rank of its kernel: over an image, and over time.
_WIDE_ENOUGH = {4: 4096, 3: 32768}
# These only move or scale values, so a value stays usable in 8 bits behind them.
_PASSING = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "BatchNormalization", "Relu")


def to_fp16(source, target) -> Path:
    """Write the exported file ``source`` in half precision: weights and arithmetic, but not the front end.

    Input and output, sums over time, squares, roots and softmaxes also stay float32. Half the size, but slower on a
    CPU, where ONNX Runtime has few half-precision operators; meant for accelerators.

    FileNotFoundError or ValueError if ``source`` does not exist, or is not an exported file in fp32.
    """
    model = _fp32_model(source)
    return _save(in_half(model, front_end_nodes(model.graph)), model, target, precision="fp16")


def in_half(model, fp32_nodes):
    """A copy of an ``onnx.ModelProto`` in float16, except the nodes named, ``FP32_OPS``, inputs and outputs.

    A value is cast where it passes between nodes of different precision, once per value. ONNX Runtime's own converter
    casts every output of an fp32 node to fp16, also between two fp32 nodes, where powers of a spectrum overflow.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    inferred = onnx.shape_inference.infer_shapes(model)
    half = copied(model)
    graph = half.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.graph.value_info, *graph.input)}
    types |= {name: tensor.data_type for name, tensor in weights.items()}
    outputs = {value.name for value in graph.output}
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    cast: dict[tuple[str, int], str] = {}  # (value, type) -> its name in that type
    nodes = []

    def as_type(name: str, to: int) -> str:
        if types.get(name) not in floats or types[name] == to:
            return name
        if (name, to) not in cast:
            cast[name, to] = f"{name}/fp{16 if to == TensorProto.FLOAT16 else 32}"
            if name in weights:
                values, limit = numpy_helper.to_array(weights[name]), np.finfo(np.float16).max
                values = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)  # keeps -inf of masks
                graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), cast[name, to]))
            else:
                nodes.append(helper.make_node("Cast", [name], [cast[name, to]], name=f"cast/{cast[name, to]}", to=to))
        return cast[name, to]

    for node in list(graph.node):
        # A node without float inputs creates floats from something else, and graph outputs are float32.
        converted = any(types.get(name) in floats for name in node.input) and not outputs.intersection(node.output)
        stays = node.name in fp32_nodes or node.op_type in FP32_OPS
        to = TensorProto.FLOAT16 if converted and not stays else TensorProto.FLOAT
        node.input[:] = [as_type(name, to) for name in node.input]
        if node.op_type != "Cast":
            types |= {name: to for name in node.output if types.get(name) == TensorProto.FLOAT}
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    for field, items in ((graph.node, nodes), (graph.initializer, [t for t in graph.initializer if t.name in used])):
        copies = [copied(item) for item in items]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    return half


def to_int8(source, target, calibration: Iterable[np.ndarray] | None = None, mode: str = "static") -> Path:
    """Write the exported file ``source`` with 8-bit weights, and 8-bit arithmetic where that is faster.

    The front end, the classifier and what follows it stay in 32 bits. Weights are signed with one scale per output;
    activations are unsigned with one scale per tensor: with AVX-512 VNNI the micro CNN takes 0.76 of the time of
    32 bits, and 0.88 with signed activations.

    Arguments
    ---------
    calibration
        Only for ``"static"``: waveforms [samples] of training speakers, as long as the windows that the file will get.
    mode
        ``"static"``: ranges of activations are the extremes over ``calibration``. ``"dynamic"``: they are computed in
        every call, for matrix products only (dynamic 8-bit convolutions take four times as long as in 32 bits); no
        speech is needed, but a result depends slightly on the rest of its batch, unless ``lengths`` shows padding.

    FileNotFoundError or ValueError if ``source`` is not an exported file in fp32, an option is unknown, or there is no
    speech to calibrate on.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got '{mode}'.")
    model = _fp32_model(source)
    computed, weighted = plan(model.graph)
    how = "none"
    if mode == "dynamic":
        # The library first turns a Gemm into a MatMul of this name.
        names = [*weighted, *(f"{name}_MatMul" for name in weighted)]
        changed = _quantised("quantize_dynamic", model, names, ["MatMul", "Gemm"])
    else:
        windows = _checked_windows(calibration)
        changed = copied(model)
        if computed:
            changed = _static(model, computed, windows)
            how = f"minmax over {len(windows)} windows"
    store_weights(changed, weighted)
    return _save(changed, model, target, precision="int8", quantisation=mode, calibration=how)


def plan(graph) -> tuple[list[str], list[str]]:
    """Names of the nodes that compute in 8 bits, and of all whose weights take 8 bits.

    Wide convolutions compute in 8 bits, and behind them matrix products and sums whose inputs are all in 8 bits.
    Elsewhere the conversions take longer than the arithmetic saves, so only the weights are stored in 8 bits: of the
    hybrid transformer at half width (3 s, one core, 2.2 ms) 8-bit products and convolutions save 0.1 ms and cost
    0.4 ms of conversions; of the micro CNN they save 0.4 ms and cost 0.1 ms.
    """
    constants = {tensor.name: tensor.dims for tensor in graph.initializer}
    skipped = front_end_nodes(graph)
    nodes = [node for node in graph.node if node.name not in skipped]
    weighted = [n for n in nodes if n.op_type in WEIGHTED and len(constants.get(n.input[1], ())) > 1]
    if len(weighted) < 2:
        raise ValueError("the file has no weights besides its classifier's; keep it in fp32.")
    computed, from_8_bits = [], set()
    for node in nodes[: nodes.index(weighted[-1])]:
        data = [name for name in node.input if name not in constants]
        inside = bool(data) and all(name in from_8_bits for name in data)
        shape = constants[node.input[1]] if node in weighted else ()
        wide = node.op_type == "Conv" and math.prod(shape) >= _WIDE_ENOUGH.get(len(shape), math.inf)
        takes = node in weighted and (wide or data[0] in from_8_bits)
        if takes or (inside and node.op_type in ("Add", "Relu") and len(data) == len(node.input)):
            computed.append(node.name)
        if takes or (inside and node.op_type == "Add") or (node.op_type in _PASSING and data[0] in from_8_bits):
            from_8_bits.update(node.output)
    return computed, [node.name for node in weighted[:-1]]


def store_weights(model, names) -> None:
    """Store the float32 weights of these nodes as 8 bits with a scale per output.

    weight[k, n] = stored[k, n] * scale[n],  scale[n] = max_k |weight[k, n]| / 127

    A Cast and a Mul compute the weight; a runtime folds them when it opens the file, so only the file gets smaller.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    made = []
    for node in [node for node in model.graph.node if node.name in names and node.op_type in WEIGHTED]:
        name = node.input[1]
        if name not in weights:
            continue
        tensor = weights.pop(name)
        weight = numpy_helper.to_array(tensor)
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        output_axis = 0 if node.op_type == "Conv" or transposed else weight.ndim - 1
        others = tuple(axis for axis in range(weight.ndim) if axis != output_axis)
        largest = np.abs(weight).max(axis=others, keepdims=True)
        scale = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
        model.graph.initializer.remove(tensor)
        for part, values in (("int8", np.round(weight / scale).astype(np.int8)), ("scale", scale)):
            model.graph.initializer.append(numpy_helper.from_array(values, f"{name}/{part}"))
        cast = helper.make_node("Cast", [f"{name}/int8"], [f"{name}/cast"], f"{name}/cast", to=TensorProto.FLOAT)
        made += [cast, helper.make_node("Mul", [f"{name}/cast", f"{name}/scale"], [name], f"{name}/mul")]
    for place, node in enumerate(made):
        model.graph.node.insert(place, node)


def _static(model, computed: list[str], windows: list[np.ndarray]):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType

    class Reader(CalibrationDataReader):
        feeds = iter([{"waveform": window[None]} for window in windows])

        def get_next(self) -> dict | None:
            return next(self.feeds, None)

    return _quantised(
        "quantize_static", model, computed, [*WEIGHTED, "Add", "Relu"],
        calibration_data_reader=Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
    )  # fmt: skip


def _quantised(function: str, model, nodes: list[str], op_types: list[str], **options):
    """The model as a function of ``onnxruntime.quantization`` changes it."""
    from onnxruntime import quantization

    shared = {"per_channel": True, "weight_type": quantization.QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder, quiet():
        made = Path(folder) / "int8.onnx"
        options |= {"nodes_to_quantize": nodes, "op_types_to_quantize": op_types, **shared}
        getattr(quantization, function)(copied(model), made, **options)
        return load_model(made)


def _checked_windows(calibration) -> list[np.ndarray]:
    windows = [np.ascontiguousarray(window, dtype=np.float32) for window in calibration or ()]
    bad = next((w for w in windows if w.ndim != 1 or len(w) < MIN_SAMPLES or not np.isfinite(w).all()), None)
    if bad is not None:
        raise ValueError(
            f"calibration holds a waveform of shape {list(bad.shape)}; give finite ones [samples] of at least "
            f"{MIN_SAMPLES} samples."
        )
    if not windows:
        raise ValueError("static 8-bit files need speech to calibrate on; give windows of training speakers.")
    return windows


def _fp32_model(source):
    model = load_model(source)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    if "label_order" not in stored or stored.get("precision", "fp32") != "fp32":
        found = f"is in {stored['precision']}" if stored.get("precision") else "was not written by export_onnx"
        raise ValueError(f"{source} {found}; give an exported file in fp32.")
    return without_lengths(model)


def _save(changed, model, target, **metadata) -> Path:
    """Write ``changed`` with the metadata of ``model`` and more, without the converter's own notes."""
    import onnx

    for part in (changed.graph, *changed.graph.node):
        del part.metadata_props[:]
    del changed.graph.value_info[:]
    changed.producer_name, changed.producer_version = model.producer_name, model.producer_version
    compact(changed)  # an optimiser may have computed the constants again
    stored = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(changed, {**stored, **metadata})
    if LENGTHS in stored:
        changed = with_lengths(changed)
    onnx.checker.check_model(changed)
    with written_aside(target) as aside:
        onnx.save(changed, aside)
    return Path(target)
