"""The input ``lengths``: rows of a padded batch get their own results, and nothing else changes."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from akd_toolkit.deploy.export import export_onnx, read_metadata
from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.deploy.export.precision import to_fp16
from akd_toolkit.inference.session import by_row, open_session, padded_batch, predict_function, takes_lengths
from tests.unit.deploy.export.conftest import LABELS, voices

PRECISIONS = ("fp32", "fp16", "static", "dynamic")
SHORTER = [voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())]


def opened(model_or_path, tmp_path):
    """A file or a model as a function."""
    if isinstance(model_or_path, onnx.ModelProto):
        onnx.checker.check_model(model_or_path, full_check=True)
        onnx.save(model_or_path, tmp_path / "model.onnx")
        model_or_path = tmp_path / "model.onnx"
    return predict_function(open_session(model_or_path), model_or_path)


def compare_with_rows_alone(answer, batch, lengths, precision):
    together, alone = answer(batch, lengths), by_row(answer, batch, lengths)
    assert np.abs(together - alone).max() < (1e-5 if precision == "fp32" else 1e-3)
    assert (together.argmax(axis=1) == alone.argmax(axis=1)).all()
    return together


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_of_a_padded_batch_get_their_own_results(precision, files, tmp_path):
    session, answer = open_session(files[precision]), opened(files[precision], tmp_path)
    assert [value.name for value in session.get_inputs()] == ["waveform"] and takes_lengths(session)
    assert read_metadata(files[precision])["lengths"]
    batch, lengths = padded_batch(SHORTER)
    together = compare_with_rows_alone(answer, batch, lengths, precision)
    assert np.abs(answer(batch) - together).max() > 1e-4  # without lengths the padding changes the result
    inside = without_lengths(onnx.load(files[precision]))
    assert not {"If", "Loop"} & {node.op_type for node in inside.graph.node}
    plain = opened(inside, tmp_path)
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
            opened(tmp_path / name, tmp_path)(np.zeros((1, 1600)), np.ones(1))


def test_openvino_takes_lengths_where_they_have_no_default(files, tmp_path):
    openvino = pytest.importorskip("openvino")
    batch, lengths = padded_batch(SHORTER)
    answer, core = opened(files["fp32"], tmp_path), openvino.Core()

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
    answer = opened(micro_file, tmp_path)
    alone = np.concatenate([answer(waveform[None]) for waveform in SHORTER])
    np.testing.assert_allclose(names["probabilities"], alone, rtol=0, atol=1e-5)
