"""TensorRT: what needs no library, and the calls on a stub of it."""

import shutil
import sys
from unittest.mock import MagicMock, call

import numpy as np
import pandas as pd
import pytest
import torch

from akd_toolkit.deploy.export import ParityReport, run
from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.deploy.export.speech import Speech
from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, engine_name, load_engine
from akd_toolkit.inference.session import load_model
from akd_toolkit.models.storage import save_student
from tests.unit.deploy.export.conftest import LABELS, MICRO


@pytest.fixture
def library(monkeypatch):
    """A stub of TensorRT that builds an engine on a pretended GPU."""
    stub = MagicMock(__version__="10.3.0")
    stub.NetworkDefinitionCreationFlag.STRONGLY_TYPED = 1
    stub.Builder().build_serialized_network.return_value = b"engine"
    stub.OnnxParser().num_errors = 1
    stub.OnnxParser().get_error().desc.return_value = "operator Foo is unknown"
    stub.Runtime().deserialize_cuda_engine.return_value = None  # built for another GPU
    monkeypatch.setitem(sys.modules, "tensorrt", stub)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    return stub


def test_an_engine_is_built_strongly_typed_with_a_profile_for_any_batch_and_length(library, micro_file, tmp_path):
    path = build_engine(micro_file, tmp_path / "student.plan", Shapes((1, 4, 8), (1600, 16000, 48000)))
    assert path.read_bytes() == b"engine" and [each.name for each in tmp_path.iterdir()] == ["student.plan"]
    builder = library.Builder()
    builder.create_network.assert_called_once_with(2)
    graph = without_lengths(load_model(micro_file))  # TensorRT does not support the loop of lengths
    library.OnnxParser().parse.assert_called_once_with(graph.SerializeToString())
    profile, config = builder.create_optimization_profile(), builder.create_builder_config()
    profile.set_shape.assert_called_once_with("waveform", (1, 1600), (4, 16000), (8, 48000))
    config.add_optimization_profile.assert_called_once_with(profile)
    assert builder.build_serialized_network.call_args == call(builder.create_network(), config)


def test_an_engine_for_this_gpu_is_named_after_it_the_file_and_the_shapes(library, micro_file, tmp_path):
    name = engine_name(micro_file)
    assert name.startswith("student.nvidia-h200.sm90.trt10.3.0.") and name.endswith(".plan")
    assert engine_name(micro_file, Shapes()) == name != engine_name(micro_file, Shapes(batch=(1, 1, 2)))


def test_an_engine_of_the_same_graph_is_built_once(library, micro, micro_file, tmp_path, monkeypatch):
    save_student(tmp_path / "bundle", micro, MICRO, LABELS, window_s=1.0)
    # PyTorch's exporter would look for the GPU.
    monkeypatch.setattr(run, "export_saved", lambda student, about, path, *_: shutil.copyfile(micro_file, path))
    decisions = pd.DataFrame({"utterance": ["a"], "before": [0], "after": [0]})
    monkeypatch.setattr(run, "_compare", lambda *given: (ParityReport(0.0, 0.0, 1), 0.0, decisions))
    monkeypatch.setattr(run, "speech_for", lambda *given: Speech([], {}, "none"))
    first, again = (run.export_run(tmp_path / "bundle", "tensorrt", to=tmp_path / "out").file for _ in range(2))
    assert first == again and first.name.startswith("student.fp32.") and first.read_bytes() == b"engine"
    assert library.Builder().build_serialized_network.call_count == 1


def test_rows_of_a_padded_batch_are_computed_at_their_lengths(library, monkeypatch, tmp_path):
    context = library.Runtime().deserialize_cuda_engine.return_value = MagicMock()
    context = context.create_execution_context()
    context.get_tensor_shape.return_value = (1, 3)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(torch.cuda, "current_stream", MagicMock())
    (tmp_path / "student.plan").write_bytes(b"engine")
    answer = load_engine(tmp_path / "student.plan")
    assert answer(np.zeros((2, 4800)), np.array([1.0, 0.5])).shape == (2, 3)
    assert context.set_input_shape.call_args_list == [call("waveform", (1, 4800)), call("waveform", (1, 2400))]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda stub: setattr(stub.OnnxParser().parse, "return_value", False), ValueError, "operator Foo is unknown"),
        (lambda stub: setattr(stub.Builder().build_serialized_network, "return_value", None), ValueError, "build"),
        (lambda stub: setattr(stub, "__version__", "8.6.1"), ImportError, r"8\.6\.1"),
        (lambda stub: sys.modules.__setitem__("tensorrt", None), ImportError, "pip install tensorrt"),
        (lambda stub: setattr(torch.cuda, "is_available", lambda: False), ValueError, "GPU"),
    ],
)
def test_what_cannot_be_built_is_refused_and_leaves_nothing(change, error, message, library, micro_file, tmp_path):
    change(library)
    with pytest.raises(error, match=message):
        build_engine(micro_file, tmp_path / "student.plan")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_of_another_gpu_and_a_missing_one_are_refused(library, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"student\.plan"):
        load_engine(tmp_path / "student.plan")
    (tmp_path / "student.plan").write_bytes(b"engine")
    with pytest.raises(ValueError, match=r"student\.plan was built for another GPU"):
        load_engine(tmp_path / "student.plan")
