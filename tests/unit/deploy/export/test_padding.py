"""The input ``lengths``: a padded batch is answered as its utterances alone, and nothing else changes."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from akd_toolkit.data.audio import read_audio
from akd_toolkit.deploy.export import export_onnx, read_metadata
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.torchscript import export_torchscript, load_torchscript
from akd_toolkit.inference.padding import by_row, padded_batch, takes_lengths, with_lengths, without_lengths
from akd_toolkit.inference.session import open_session, predict_function
from tests.unit.deploy.export.conftest import LABELS, voices

PRECISIONS = ("fp32", "fp16", "static", "dynamic")


@pytest.fixture(scope="module")
def files(micro_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("padding")
    return {
        "fp32": micro_file,
        "fp16": to_fp16(micro_file, folder / "fp16.onnx"),
        "static": to_int8(micro_file, folder / "static.onnx", voices()),
        "dynamic": to_int8(micro_file, folder / "dynamic.onnx", mode="dynamic"),
    }


def opened(model_or_path, tmp_path):
    """The answering function of a file or of a model."""
    if isinstance(model_or_path, onnx.ModelProto):
        onnx.checker.check_model(model_or_path, full_check=True)
        onnx.save(model_or_path, tmp_path / "model.onnx")
        model_or_path = tmp_path / "model.onnx"
    return predict_function(open_session(model_or_path), model_or_path)


@pytest.fixture
def total(tmp_path):
    """Sum and negative sum of a row, which a share cuts: a student that can be computed by hand."""
    nodes = [
        helper.make_node("ReduceSum", ["waveform", "axis"], ["sum"], name="sum", keepdims=1),
        helper.make_node("Mul", ["sum", "signs"], ["probabilities"], name="mul"),
    ]
    values = [onnx.numpy_helper.from_array(np.array([1]), "axis")]
    values.append(onnx.numpy_helper.from_array(np.array([[1.0, -1.0]], dtype=np.float32), "signs"))
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
        for name, size in (("waveform", "samples"), ("probabilities", 2))
    ]
    graph = helper.make_graph(nodes, "total", ends[:1], ends[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return opened(with_lengths(model), tmp_path)


def test_each_row_is_cut_to_its_share(total):
    assert total(np.ones((3, 10)), np.array([1.0, 0.3, 0.7]))[:, 0].tolist() == [10, 3, 7]
    assert total(np.ones((3, 10)))[:, 0].tolist() == [10, 10, 10]
    assert total(np.ones((2, 10)), np.array([0.4]))[:, 0].tolist() == [4, 4]  # one share for all rows
    assert total(np.ones((2, 10)), np.array([1.5, 0.5]))[:, 0].tolist() == [10, 5]  # no row is longer than it is
    assert total(np.ones((0, 10))).shape == (0, 2)


def test_a_wrong_number_of_shares_and_a_share_that_is_no_number_are_refused(total):
    with pytest.raises(ValueError, match="expand"):
        total(np.ones((2, 10)), np.array([0.5, 0.5, 0.5]))
    assert total(np.ones((2, 10)), np.array([np.nan, 1.0]))[:, 0].tolist() == [0, 10]  # never the whole row


def test_a_share_gives_back_its_number_of_samples_up_to_four_minutes(total):
    random = np.random.default_rng(0)
    widths = random.integers(1600, 4 * 60 * 16000, 40)
    for width in [*widths, 4 * 60 * 16000]:
        counts = np.unique([*random.integers(1600, width + 1, 500), *range(width - 500, width + 1)])
        shares = (counts / width).astype(np.float32)
        assert (np.round(shares * np.float32(width)) == counts).all()
    width = int(max(widths))
    counts = np.array([1600, width - 1, width // 3])
    assert total(np.ones((3, width)), counts / width)[:, 0].tolist() == counts.tolist()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_lengths_the_answers_are_those_of_the_graph_inside_to_the_bit(precision, files, tmp_path):
    inside = without_lengths(onnx.load(files[precision]))
    assert not {"If", "Loop"} & {node.op_type for node in inside.graph.node}
    plain, padded = opened(inside, tmp_path), opened(files[precision], tmp_path)
    for batch in (np.stack(voices()), np.stack(voices())[:1], np.stack(voices())[:, :1600]):
        assert np.array_equal(plain(batch), padded(batch))
        assert np.array_equal(plain(batch), padded(batch, np.ones(len(batch))))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_padded_batch_is_answered_as_its_utterances_alone(precision, files, tmp_path):
    batch, lengths = padded_batch([voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())])
    answer = opened(files[precision], tmp_path)
    limit = 1e-5 if precision == "fp32" else 1e-3
    together, alone = answer(batch, lengths), by_row(answer, batch, lengths)
    assert np.abs(together - alone).max() < limit and (together.argmax(axis=1) == alone.argmax(axis=1)).all()
    assert np.abs(answer(batch) - together).max() > 1e-4  # the padding would have been heard


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_input_stays_optional_and_is_named_in_the_metadata(precision, files):
    session = open_session(files[precision])
    assert [value.name for value in session.get_inputs()] == ["waveform"] and takes_lengths(session)
    assert "share of the samples" in read_metadata(files[precision])["lengths"]


def test_what_was_put_around_a_student_can_be_taken_away(micro_file):
    model = onnx.load(micro_file)
    flat = without_lengths(model)
    assert [value.name for value in flat.graph.input] == ["waveform"]
    assert with_lengths(flat).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    assert without_lengths(flat) is flat


def test_the_input_can_be_left_out(micro, tmp_path):
    export_onnx(micro, tmp_path / "plain.onnx", LABELS, lengths=False)
    to_fp16(tmp_path / "plain.onnx", tmp_path / "half.onnx")
    for name in ("plain.onnx", "half.onnx"):
        graph = onnx.load(tmp_path / name).graph
        assert not {"If", "Loop"} & {node.op_type for node in graph.node} and len(graph.input) == 1
        assert "lengths" not in read_metadata(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name} has no input lengths; export the student again"):
            opened(tmp_path / name, tmp_path)(np.zeros((1, 1600)), np.ones(1))


def test_torchscript_takes_lengths_too(micro, tmp_path):
    export_torchscript(micro, tmp_path / "student.pt", LABELS)
    answer, metadata = load_torchscript(tmp_path / "student.pt")
    batch, lengths = padded_batch([voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())])
    assert "lengths" in metadata
    assert np.array_equal(answer(batch, lengths), by_row(answer, batch, lengths))
    assert np.array_equal(answer(batch, np.ones(len(batch))), answer(batch))
    assert np.array_equal(answer(batch, np.full(1, 0.5)), by_row(answer, batch, np.full(len(batch), 0.5)))


def test_openvino_answers_the_batch_and_takes_lengths_where_they_have_no_default(files, tmp_path):
    openvino = pytest.importorskip("openvino")
    batch, lengths = padded_batch([voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())])
    answer, core = opened(files["fp32"], tmp_path), openvino.Core()

    def run(model, *inputs):
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return compiled.create_infer_request().infer(inputs)[0]

    np.testing.assert_allclose(run(files["fp32"], batch), answer(batch), atol=1e-5)
    model = onnx.load(files["fp32"])
    model.graph.initializer.remove(next(each for each in model.graph.initializer if each.name == "lengths"))
    onnx.save(model, tmp_path / "both.onnx")
    np.testing.assert_allclose(run(tmp_path / "both.onnx", batch, lengths), answer(batch, lengths), atol=1e-5)


def test_real_speech_in_padded_batches_keeps_every_decision(shared_folder, micro_file, tmp_path):
    paths = sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))[::20]
    speech = [read_audio(path) for path in paths]
    files = {
        "fp32": micro_file,
        "fp16": to_fp16(micro_file, tmp_path / "fp16.onnx"),
        "static": to_int8(micro_file, tmp_path / "static.onnx", [waveform[:16000] for waveform in speech[:5]]),
        "dynamic": to_int8(micro_file, tmp_path / "dynamic.onnx", mode="dynamic"),
    }
    batch, lengths = padded_batch(speech)
    for precision, file in files.items():
        answer = opened(file, tmp_path)
        together, alone = answer(batch, lengths), by_row(answer, batch, lengths)
        assert np.abs(together - alone).max() < (1e-5 if precision == "fp32" else 1e-3), precision
        assert (together.argmax(axis=1) == alone.argmax(axis=1)).all(), precision


def test_the_example_of_the_export_page_runs(micro_file, tmp_path, monkeypatch):
    page = (Path(__file__).parents[4] / "docs/export.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r"```python\n(.*?)```", page.partition("## Padded batches")[2].partition("\n## ")[0], re.DOTALL
    )
    (tmp_path / "student.onnx").write_bytes(micro_file.read_bytes())
    monkeypatch.chdir(tmp_path)
    names = {"waveforms": [voice[: 16000 - 2880 * row] for row, voice in enumerate(voices())]}
    exec(code, names)
    answer = opened(micro_file, tmp_path)
    alone = np.concatenate([answer(waveform[None]) for waveform in names["waveforms"]])
    np.testing.assert_allclose(names["probabilities"], alone, rtol=0, atol=1e-5)
