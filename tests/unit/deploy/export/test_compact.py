"""A compacted file gives the same answers, and its constants come out to the bit."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from akd_toolkit.deploy.export.compact import compact
from akd_toolkit.models.features.log_mel import LogMel


def model_with(*constants):
    """A graph that answers with its constants."""
    names = [f"c{i}" for i in range(len(constants))]
    nodes = [helper.make_node("Identity", [name], [f"out_{name}"]) for name in names]
    outputs = [helper.make_tensor_value_info(f"out_{name}", 1, list(c.shape)) for name, c in zip(names, constants)]
    weights = [numpy_helper.from_array(c, name) for name, c in zip(names, constants)]
    graph = helper.make_graph(nodes, "g", [], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def answers(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {})


@pytest.mark.parametrize("options", [{}, {"num_mels": 40}, {"fmin_hz": 0.0}, {"window_ms": 20.0}, {"fmax_hz": 4000.0}])
def test_the_front_ends_constants_come_out_to_the_bit(options):
    front_end = LogMel(**options)
    names = ("even_cos", "even_sin", "odd_cos", "odd_sin")
    constants = [getattr(front_end.power, name).numpy() for name in names] + [front_end.ordered_mel.numpy()]
    model = model_with(*constants)
    before = len(model.SerializeToString())
    assert compact(model) == sum(constant.nbytes for constant in constants)
    onnx.checker.check_model(model)
    assert len(model.SerializeToString()) < before / 8
    for expected, answer in zip(constants, answers(model), strict=True):
        assert np.array_equal(expected, answer)
    assert compact(model) == 0  # nothing is left to do


def test_other_weights_stay_as_they_are():
    random = np.random.default_rng(0)
    dense = random.standard_normal((101, 100)).astype(np.float32)
    nearly = LogMel().power.even_cos.numpy().copy()
    nearly[50, 50] += 1e-6
    three = LogMel().ordered_mel.numpy().copy()
    three[100, :3] = 1.0
    model = model_with(dense, nearly, three)
    before = model.SerializeToString()
    assert compact(model) == 0
    assert model.SerializeToString() == before


def test_a_band_at_the_edge_and_an_empty_row():
    bands = np.zeros((80, 32), np.float32)
    bands[0, 31], bands[1, 0], bands[2, 30:] = 3.0, 2.0, [1.0, 4.0]
    model = model_with(bands)
    assert compact(model) == bands.nbytes
    assert np.array_equal(answers(model)[0], bands)
