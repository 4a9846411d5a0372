"""Fewer bits: what becomes small, what stays in 32 bits, and that the answers stay the same."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from akd_toolkit.deploy.export import check_parity, read_metadata
from akd_toolkit.deploy.export.eight_bits import eight_bits, plan, store_weights
from akd_toolkit.deploy.export.half import in_half
from akd_toolkit.deploy.export.names import front_end_nodes
from akd_toolkit.deploy.export.parity import speech_batches
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from tests.unit.deploy.export.conftest import LABELS, voices


@pytest.fixture(scope="module")
def files(micro_file, tmp_path_factory):
    """Precision -> file."""
    folder = tmp_path_factory.mktemp("precisions")
    made = {name: folder / f"{name}.onnx" for name in ("fp16", "static", "dynamic", "percentile")}
    to_fp16(micro_file, made["fp16"])
    to_int8(micro_file, made["static"], voices())
    to_int8(micro_file, made["dynamic"], mode="dynamic")
    to_int8(micro_file, made["percentile"], voices(), method="percentile")
    return made


def stored(model, kind):
    """Numbers stored as this type."""
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type == kind)


@pytest.mark.parametrize("name", ["fp16", "static", "dynamic", "percentile"])
def test_the_answers_stay_close_and_the_file_gets_smaller(name, files, micro, micro_file):
    batches = speech_batches(voices(), lengths=(1600, 16000, 20001), batch_sizes=(1, 3))
    report = check_parity(files[name], micro, batches, tolerance=1e-3 if name == "fp16" else 0.02)
    assert report.largest_difference > 0 and report.largest_logit_difference < 0.1
    assert files[name].stat().st_size < (0.75 if name == "fp16" else 0.6) * micro_file.stat().st_size


@pytest.mark.parametrize("name", ["fp16", "static", "dynamic", "percentile"])
def test_metadata_survive_and_tell_the_precision(name, files, micro_file):
    before, after = read_metadata(micro_file), read_metadata(files[name])
    assert after["label_order"] == list(LABELS) and after["test_overlap_s"] == 0.5 and after["corpus"] == "Toy"
    assert (before["precision"], after["precision"]) == ("fp32", "fp16" if name == "fp16" else "int8")
    told = {"static": "minmax over 6 windows", "percentile": "percentile over 6 windows", "dynamic": "none"}
    assert after.get("calibration") == told.get(name)


@pytest.mark.parametrize("name", ["fp16", "static", "dynamic"])
def test_the_file_tells_nothing_of_the_machine_and_opens_no_other(name, files):
    model = onnx.load(files[name])
    assert b"/tmp" not in files[name].read_bytes() and ".py" not in str(model.graph)
    assert {entry.domain for entry in model.opset_import if entry.domain} <= {"ai.onnx"} or name == "dynamic"
    assert [each.name for each in files[name].parent.glob("*inferred*")] == []


def test_every_wide_weight_is_stored_in_8_bits(files, micro):
    model = onnx.load(files["static"])
    weights = sum(p.numel() for name, p in micro.named_parameters() if p.dim() > 1 and "classifier" not in name)
    assert stored(model, TensorProto.INT8) >= weights
    ops = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= ops


def test_in_half_precision_the_front_end_stays_in_32_bits(files):
    model = onnx.shape_inference.infer_shapes(onnx.load(files["fp16"]))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    inside = set(front_end_nodes(model.graph))
    assert len(inside) > 20
    for node in model.graph.node:
        if node.name in inside:
            assert TensorProto.FLOAT16 not in [types.get(name) for name in (*node.input, *node.output)], node.name
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.name not in inside]
    assert convolutions and all(types[node.input[1]] == TensorProto.FLOAT16 for node in convolutions)


def test_a_loud_utterance_does_not_overflow_half_precision(files, micro):
    loud = [np.sign(np.sin(2 * np.pi * 200 * np.arange(160000) / 16000)).astype(np.float32)[None]]
    assert np.isfinite(check_parity(files["fp16"], micro, loud, tolerance=1e-2).largest_logit_difference)


def test_half_precision_of_a_sum_by_hand():
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["y"], name="front_end/mul"),
        helper.make_node("Mul", ["y", "w"], ["z"], name="mul"),
        helper.make_node("Identity", ["z"], ["out"], name="out"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "out")]
    weight = numpy_helper.from_array(np.array([1.0001], np.float32), "w")  # 1 in half precision
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    half = in_half(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), {"front_end/mul"})
    onnx.checker.check_model(half, full_check=True)
    answer = onnx.reference.ReferenceEvaluator(half).run(None, {"x": np.array([3.0], np.float32)})[0]
    assert answer.dtype == np.float32 and answer.tolist() == [3.0]
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {"w": TensorProto.FLOAT, "w/fp16": TensorProto.FLOAT16}


def test_the_plan_takes_wide_convolutions_and_leaves_front_end_and_classifier(micro_file):
    graph = onnx.load(micro_file).graph
    wanted, types = plan(graph), {node.name: node.op_type for node in graph.node}
    computed = [types[name] for name in wanted.computed]
    assert computed.count("Conv") == 2 and "MatMul" in computed  # the first convolution, 1 x 25 x 16, is narrow
    assert len(wanted.weighted) == 5  # two of the stem, fuse, one over time, bottleneck
    assert not any(name.startswith("front_end/") for name in (*wanted.computed, *wanted.weighted))


def test_a_weight_of_zeros_does_not_divide_by_zero():
    values, scale = eight_bits(np.zeros((2, 3), np.float32), axis=-1)
    assert scale.shape == (1, 3) and (values == 0).all() and np.isfinite(scale).all()


def test_stored_weights_are_within_half_a_step():
    weight = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 5])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    assert store_weights(model, ["product"]) == 1
    read = onnx.reference.ReferenceEvaluator(model).run(None, {"x": np.eye(8, dtype=np.float32)})[0]
    assert (np.abs(read - weight) <= np.abs(weight).max(axis=0) / 254 + 1e-6).all()
    assert stored(model, TensorProto.FLOAT) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "half"}, "mode must be one of static, dynamic"),
        ({"method": "median"}, "method one of minmax, percentile, entropy"),
        ({}, "need speech to calibrate on"),
        ({"calibration": [np.zeros(100)]}, r"calibration holds a waveform of shape \[100\]"),
        ({"calibration": [np.full(16000, np.nan)]}, "give finite ones"),
    ],
)
def test_what_cannot_be_quantised_is_refused(options, message, micro_file, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_int8(micro_file, tmp_path / "student.int8.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_fewer_bits_is_not_taken_again(files, tmp_path):
    for convert, name in ((to_fp16, "static"), (to_int8, "fp16")):
        with pytest.raises(ValueError, match=r"is in (int8|fp16); give an exported file in fp32"):
            convert(files[name], tmp_path / "again.onnx")
