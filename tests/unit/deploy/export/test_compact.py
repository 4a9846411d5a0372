"""A compacted file gives the same results, and its constants are the same to the bit."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from akd_toolkit.deploy.export.graph import compact
from akd_toolkit.models.features.log_mel import LogMel


def model_with(*constants):
    """A graph whose outputs are its constants."""
    names = [f"c{i}" for i in range(len(constants))]
    nodes = [helper.make_node("Identity", [name], [f"out_{name}"]) for name in names]
    outputs = [helper.make_tensor_value_info(f"out_{name}", 1, list(c.shape)) for name, c in zip(names, constants)]
    weights = [numpy_helper.from_array(c, name) for name, c in zip(names, constants)]
    graph = helper.make_graph(nodes, "g", [], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def edges():
    bands = np.zeros((80, 32), np.float32)
    bands[0, 31], bands[1, 0], bands[2, 30:] = 3.0, 2.0, [1.0, 4.0]
    return [bands]


def front_end(**options):
    module = LogMel(**options)
    matrices = [getattr(module.power, name).numpy() for name in ("even_cos", "even_sin", "odd_cos", "odd_sin")]
    return [*matrices, module.ordered_mel.numpy()]


@pytest.mark.parametrize(
    "constants",
    [front_end(), front_end(num_mels=40, fmin_hz=0.0), front_end(window_ms=20.0), front_end(fmax_hz=4000.0), edges()],
)
def test_replaced_constants_are_the_same_to_the_bit(constants):
    model = model_with(*constants)
    before = model.ByteSize()
    assert compact(model) == sum(constant.nbytes for constant in constants)
    assert model.ByteSize() < before / 3
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for expected, computed in zip(constants, session.run(None, {}), strict=True):
        assert np.array_equal(expected, computed)
    assert compact(model) == 0  # nothing is left to do
