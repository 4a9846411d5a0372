"""A file that may come from anywhere: it needs nothing but itself, or is not opened."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from akd_toolkit.inference.session import checked_metadata, load_model, open_session, read_checked

INPUT = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])
OUTPUT = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", "samples"])


def save(path, node, initializers=(), domain=""):
    graph = helper.make_graph([node], "g", [INPUT], [OUTPUT], list(initializers))
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    return path


def external():
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    return tensor


def test_a_file_is_opened_unless_it_has_an_operator_outside_the_standard(tmp_path):
    path = save(tmp_path / "own.onnx", helper.make_node("Relu", ["waveform"], ["probabilities"]))
    result = open_session(path).run(None, {"waveform": np.array([[-1.0, 2.0]], np.float32)})[0]
    assert result.tolist() == [[0.0, 2.0]] and load_model(path).graph.node[0].op_type == "Relu"
    node = helper.make_node("EPContext", ["waveform"], ["probabilities"], domain="com.microsoft")
    with pytest.raises(ValueError, match=r"foreign\.onnx .*EPContext"):
        open_session(save(tmp_path / "foreign.onnx", node, domain="com.microsoft"))


def test_weights_in_another_file_are_refused_also_within_a_branch(tmp_path):
    far = save(tmp_path / "far.onnx", helper.make_node("Mul", ["waveform", "w"], ["probabilities"]), [external()])
    constant = helper.make_node("Constant", [], ["v"], value=external())
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])])
    node = helper.make_node("If", ["c"], ["probabilities"], then_branch=branch, else_branch=branch)
    deep = save(tmp_path / "deep.onnx", node, [numpy_helper.from_array(np.array(True), "c")])
    for path in (far, deep):
        for read in (open_session, read_checked, load_model):
            with pytest.raises(ValueError, match=rf"{path.name} .*other files"):
                read(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a graph", b"\x08\x0a\x3a\xff\xff\xff\xff\x07"])
def test_bytes_that_are_not_a_graph_are_refused_by_name(content, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.onnx is not an ONNX file"):
        open_session(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        open_session(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("key", "value"),
    [("window_s", "nan"), ("window_s", "1e9"), ("sample_rate_hz", "0"), ("test_overlap_s", "3"), ("label_order", "x")],
)
def test_metadata_that_make_no_sense_are_refused(key, value):
    stored = {"label_order": '["a", "b"]', "sample_rate_hz": "16000", "window_s": "3.0", "opset": "18"}
    assert checked_metadata(stored, "x.onnx")["test_overlap_s"] == 0.0
    with pytest.raises(ValueError, match=r"x\.onnx"):
        checked_metadata({**stored, key: value}, "x.onnx")
    with pytest.raises(ValueError, match="label_order"):
        checked_metadata({}, "x.onnx")
