"""TensorRT: what needs no library, and the calls on a stub of it."""

import sys
from unittest.mock import MagicMock, call

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, load_engine
from akd_toolkit.inference.session import load_model


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


def test_an_engine_for_this_gpu_is_reused(library, micro_file, tmp_path):
    first = build_engine(micro_file, tmp_path)
    assert first.name.startswith("student.nvidia-h200.sm90.trt10.3.0.")
    assert build_engine(micro_file, tmp_path) == first
    assert library.Builder().build_serialized_network.call_count == 1
    assert build_engine(micro_file, tmp_path, Shapes(batch=(1, 1, 2))) != first


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
        build_engine(micro_file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_of_another_gpu_and_a_missing_one_are_refused(library, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"student\.plan"):
        load_engine(tmp_path / "student.plan")
    (tmp_path / "student.plan").write_bytes(b"engine")
    with pytest.raises(ValueError, match=r"student\.plan was built for another GPU"):
        load_engine(tmp_path / "student.plan")
