"""A tiny exported student, written without PyTorch's exporter."""

import json

import numpy as np
import pytest


@pytest.fixture
def tiny_file(tmp_path):
    """Mean level of the waveform (the front end), times [1, -1], softmax."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [
        helper.make_node("Abs", ["waveform"], ["level"], name="front_end/abs"),
        helper.make_node("ReduceMean", ["level", "axes"], ["mean"], name="front_end/mean", keepdims=1),
        helper.make_node("MatMul", ["mean", "weight"], ["logits"], name="classifier"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax"),
    ]
    weights = [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
        numpy_helper.from_array(np.array([[1.0, -1.0]], dtype=np.float32), "weight"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("waveform", "samples"), ("probabilities", 2))
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    metadata = {"label_order": json.dumps(["loud", "quiet"]), "sample_rate_hz": "16000", "window_s": "3.0"}
    helper.set_model_props(model, {**metadata, "opset": "18", "student": "Tiny", "num_parameters": "2"})
    checker.check_model(model)
    save(model, tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"
