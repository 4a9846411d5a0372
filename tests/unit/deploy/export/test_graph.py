"""Changes of an exported graph: computed constants are the same to the bit, padded rows get their own results."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from akd_toolkit.deploy.export import export_onnx, read_metadata
from akd_toolkit.deploy.export.graph import compact, without_lengths
from akd_toolkit.deploy.export.precision import to_fp16
from akd_toolkit.inference.session import open_session, padded_batch, predict_function, takes_lengths
from akd_toolkit.models.features.log_mel import LogMel
from tests.unit.deploy.export.conftest import LABELS, voices

SHORTER = [voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())]


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
    names = [f"c{i}" for i in range(len(constants))]
    nodes = [helper.make_node("Identity", [name], [f"out_{name}"]) for name in names]
    outputs = [helper.make_tensor_value_info(f"out_{name}", 1, list(c.shape)) for name, c in zip(names, constants)]
    weights = [numpy_helper.from_array(c, name) for name, c in zip(names, constants)]
    graph = helper.make_graph(nodes, "g", [], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    before = model.ByteSize()
    assert compact(model) == sum(constant.nbytes for constant in constants)
    assert model.ByteSize() < before / 3
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for expected, computed in zip(constants, session.run(None, {}), strict=True):
        assert np.array_equal(expected, computed)
    assert compact(model) == 0  # nothing is left to do


def opened(path):
    return predict_function(open_session(path), path)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "static", "dynamic"])
def test_lengths_matter_only_where_something_is_padded(precision, files, tmp_path):
    session, answer = open_session(files[precision]), opened(files[precision])
    assert [value.name for value in session.get_inputs()] == ["waveform"] and takes_lengths(session)
    assert read_metadata(files[precision])["lengths"]
    batch, lengths = padded_batch(SHORTER)
    together, alone = answer(batch, lengths), np.concatenate([answer(voice[None]) for voice in SHORTER])
    assert np.abs(together - alone).max() < (1e-5 if precision == "fp32" else 1e-3)
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()
    assert np.abs(answer(batch) - together).max() > 1e-4  # without lengths the padding changes the result
    inside = without_lengths(onnx.load(files[precision]))
    assert not {"If", "Loop"} & {node.op_type for node in inside.graph.node}
    onnx.checker.check_model(inside, full_check=True)
    onnx.save(inside, tmp_path / "inside.onnx")
    plain = opened(tmp_path / "inside.onnx")
    for batch in (np.stack(voices()), np.stack(voices())[:1], np.stack(voices())[:, :1600]):
        assert np.array_equal(plain(batch), answer(batch))
        assert np.array_equal(plain(batch), answer(batch, np.ones(len(batch))))


def test_the_input_can_be_left_out(micro, tmp_path):
    export_onnx(micro, tmp_path / "plain.onnx", LABELS, lengths=False)
    to_fp16(tmp_path / "plain.onnx", tmp_path / "half.onnx")
    for name in ("plain.onnx", "half.onnx"):
        graph = onnx.load(tmp_path / name).graph
        assert not {"If", "Loop"} & {node.op_type for node in graph.node} and len(graph.input) == 1
        assert "lengths" not in read_metadata(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name} .*lengths"):
            opened(tmp_path / name)(np.zeros((1, 1600)), np.ones(1))


def test_openvino_takes_lengths_where_they_have_no_default(files, tmp_path):
    openvino = pytest.importorskip("openvino")
    batch, lengths = padded_batch(SHORTER)
    answer, core = opened(files["fp32"]), openvino.Core()

    def run(model, *inputs):
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return compiled.create_infer_request().infer(inputs)[0]

    np.testing.assert_allclose(run(files["fp32"], batch), answer(batch), atol=1e-5)
    model = onnx.load(files["fp32"])
    model.graph.initializer.remove(next(each for each in model.graph.initializer if each.name == "lengths"))
    onnx.save(model, tmp_path / "both.onnx")
    np.testing.assert_allclose(run(tmp_path / "both.onnx", batch, lengths), answer(batch, lengths), atol=1e-5)


def test_the_example_in_the_docs_runs(micro_file, tmp_path, monkeypatch):
    page = (Path(__file__).parents[4] / "docs/export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "student.onnx").write_bytes(micro_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    names = {"waveforms": SHORTER}
    exec(code, names)
    alone = np.concatenate([opened(micro_file)(waveform[None]) for waveform in SHORTER])
    np.testing.assert_allclose(names["probabilities"], alone, rtol=0, atol=1e-5)
