"""A file that may come from anywhere: it needs nothing but itself, or is not opened."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from akd_toolkit.deploy.export.names import name_front_end
from akd_toolkit.inference.session import checked_metadata, load_model, open_session, read_checked

INPUT = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])
OUTPUT = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", "samples"])


def save(path, nodes, initializers=(), domain=""):
    graph = helper.make_graph(nodes, "g", [INPUT], [OUTPUT], list(initializers))
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def external(name="w"):
    tensor = numpy_helper.from_array(np.ones(1, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    return tensor


def test_a_file_with_weights_in_itself_is_opened(tmp_path):
    path = save(tmp_path / "own.onnx", [helper.make_node("Relu", ["waveform"], ["probabilities"])])
    answer = open_session(path).run(None, {"waveform": np.array([[-1.0, 2.0]], np.float32)})[0]
    assert answer.tolist() == [[0.0, 2.0]] and load_model(path).graph.node[0].op_type == "Relu"


def test_weights_in_another_file_are_refused(tmp_path):
    node = helper.make_node("Mul", ["waveform", "w"], ["probabilities"])
    path = tmp_path / "far.onnx"
    graph = helper.make_graph([node], "g", [INPUT], [OUTPUT], [external()])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    for read in (open_session, read_checked, load_model):
        with pytest.raises(ValueError, match=r"far\.onnx keeps weights in other files"):
            read(path)


def test_weights_in_another_file_are_found_within_a_branch(tmp_path):
    constant = helper.make_node("Constant", [], ["v"], value=external())
    branch = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("v", TensorProto.FLOAT, [1])])
    nodes = [helper.make_node("If", ["c"], ["probabilities"], then_branch=branch, else_branch=branch)]
    path = tmp_path / "branch.onnx"
    graph = helper.make_graph(nodes, "g", [INPUT], [OUTPUT], [numpy_helper.from_array(np.array(True), "c")])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ValueError, match="keeps weights in other files"):
        read_checked(path)


def test_an_operator_that_is_not_of_the_standard_is_refused(tmp_path):
    node = helper.make_node("EPContext", ["waveform"], ["probabilities"], domain="com.microsoft")
    path = save(tmp_path / "foreign.onnx", [node], domain="com.microsoft")
    with pytest.raises(ValueError, match=r"foreign\.onnx uses EPContext of 'com\.microsoft'"):
        open_session(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a graph", b"\x08\x0a\x3a\xff\xff\xff\xff\x07"])
def test_bytes_that_are_no_graph_are_refused_by_name(content, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.onnx is not an ONNX file"):
        open_session(path)


@pytest.mark.parametrize(
    "change", [{"window_s": "nan"}, {"window_s": "1e9"}, {"sample_rate_hz": "0"}, {"test_overlap_s": "3.0"}]
)
def test_metadata_that_make_no_sense_are_refused(change):
    stored = {"label_order": '["a", "b"]', "sample_rate_hz": "16000", "window_s": "3.0", "opset": "18"}
    assert checked_metadata(stored, "x.onnx")["test_overlap_s"] == 0.0
    with pytest.raises(ValueError, match=r"x\.onnx .*metadata"):
        checked_metadata({**stored, **change}, "x.onnx")


def test_nodes_of_the_front_end_are_named_by_the_module_they_came_from():
    def node(op, inputs, output, *scopes):
        made = helper.make_node(op, inputs, [output], name=op.lower())
        if scopes:
            made.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(["", "student", *scopes]))
        return made

    nodes = [
        node("Shape", ["waveform"], "n", "sym"),
        node("Mul", ["waveform", "k"], "a", "student.front_end", "mul"),
        node("Split", ["a"], "b"),  # an optimiser's: all that it reads is the front end's
        node("Log", ["b"], "c", "student.front_end", "student.front_end.power", "log"),
        node("Reshape", ["c", "n"], "d"),  # reads a shape from elsewhere too
        node("Relu", ["d"], "e", "student.front_end_norm", "relu"),
    ]
    graph = helper.make_graph(nodes, "g", [], [])
    assert name_front_end(graph) == 3
    assert [n.name for n in graph.node] == [
        "shape", "front_end/mul", "front_end/split", "front_end/log", "reshape", "relu",
    ]  # fmt: skip
