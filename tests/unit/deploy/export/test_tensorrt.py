"""TensorRT: what needs no library, and the order of calls on a stand-in for it."""

import sys
import types

import numpy as np
import pytest
import torch

from akd_toolkit.deploy.export.tensorrt import Shapes, build_engine, engine_name, load_engine
from akd_toolkit.inference.padding import without_lengths
from akd_toolkit.inference.session import load_model

CALLS = []


class Noted:
    """Notes every call of a method that it does not have, with its plain arguments."""

    def __init__(self, *arguments):
        pass

    def __getattr__(self, name):
        def method(*arguments):
            CALLS.append((name, *(each for each in arguments if isinstance(each, (int, str, tuple, bytes)))))

        return method


class Builder(Noted):
    built = b"engine"

    def create_network(self, flags):
        CALLS.append(("create_network", flags))
        return Noted()

    def create_builder_config(self):
        return Noted()

    def create_optimization_profile(self):
        return Noted()

    def build_serialized_network(self, network, config):
        CALLS.append(("build_serialized_network",))
        return self.built


class Parser(Noted):
    reads = True
    num_errors = 1

    def parse(self, stored):
        CALLS.append(("parse", len(stored)))
        return self.reads

    def get_error(self, place):
        return types.SimpleNamespace(desc=lambda: "operator Foo is unknown")


@pytest.fixture
def library(monkeypatch):
    """A module with the names of TensorRT's API that are used here."""
    made = types.ModuleType("tensorrt")
    made.__version__ = "10.3.0"
    made.Logger = type("Logger", (Noted,), {"WARNING": 1})
    made.Builder = type("Builder", (Builder,), {})
    made.OnnxParser = type("OnnxParser", (Parser,), {})
    made.NetworkDefinitionCreationFlag = types.SimpleNamespace(STRONGLY_TYPED=1)
    made.MemoryPoolType = types.SimpleNamespace(WORKSPACE=0)
    made.Runtime = type("Runtime", (Noted,), {})  # deserialize_cuda_engine answers None: another GPU
    monkeypatch.setitem(sys.modules, "tensorrt", made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    CALLS.clear()
    return made


def test_an_engine_is_built_strongly_typed_with_a_profile_for_any_batch_and_length(library, micro_file, tmp_path):
    path = build_engine(micro_file, tmp_path / "student.plan", Shapes((1, 4, 8), (1600, 16000, 48000)))
    assert path.read_bytes() == b"engine" and [each.name for each in tmp_path.iterdir()] == ["student.plan"]
    names = [call[0] for call in CALLS]
    assert names == [
        "create_network", "parse", "set_memory_pool_limit", "set_shape", "add_optimization_profile",
        "build_serialized_network",
    ]  # fmt: skip
    graph = without_lengths(load_model(micro_file))  # whose loop TensorRT does not build
    assert CALLS[0] == ("create_network", 2) and CALLS[1] == ("parse", graph.ByteSize())
    assert CALLS[3] == ("set_shape", "waveform", (1, 1600), (4, 16000), (8, 48000))


def test_an_engine_that_was_built_before_for_this_gpu_is_taken(library, micro_file, tmp_path):
    first = build_engine(micro_file, tmp_path)
    assert first.name.startswith("student.nvidia-h200.sm90.trt10.3.0.")
    CALLS.clear()
    assert build_engine(micro_file, tmp_path) == first and CALLS == []
    assert build_engine(micro_file, tmp_path, Shapes(batch=(1, 1, 2))) != first and CALLS


def test_the_name_changes_with_gpu_version_shapes_and_file(tmp_path):
    file = tmp_path / "student.fp16.onnx"
    file.write_bytes(b"graph")
    names = {
        engine_name(file, "NVIDIA H200", (9, 0), "10.3.0"),
        engine_name(file, "NVIDIA L4", (8, 9), "10.3.0"),
        engine_name(file, "NVIDIA H200", (9, 0), "10.4.0"),
        engine_name(file, "NVIDIA H200", (9, 0), "10.3.0", Shapes(batch=(1, 2, 4))),
    }
    file.write_bytes(b"other")
    names.add(engine_name(file, "NVIDIA H200", (9, 0), "10.3.0"))
    assert len(names) == 5 and all(name.startswith("student.fp16.nvidia-") for name in names)


def test_a_graph_that_tensorrt_does_not_read_is_refused_with_its_reason(library, micro_file, tmp_path):
    library.OnnxParser.reads = False
    with pytest.raises(ValueError, match="does not read .*operator Foo is unknown"):
        build_engine(micro_file, tmp_path / "student.plan")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_cannot_be_built_leaves_nothing(library, micro_file, tmp_path):
    library.Builder.built = None
    with pytest.raises(ValueError, match="TensorRT cannot build"):
        build_engine(micro_file, tmp_path / "student.plan")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_of_another_gpu_is_refused(library, tmp_path):
    (tmp_path / "student.plan").write_bytes(b"engine")
    with pytest.raises(ValueError, match="was built for another GPU or TensorRT"):
        load_engine(tmp_path / "student.plan")


class Context(Noted):
    def get_tensor_shape(self, name):
        return (CALLS[-1][2][0], 3)

    def set_input_shape(self, name, shape):
        CALLS.append(("set_input_shape", name, shape))
        return True

    def execute_async_v3(self, stream):
        return True


def test_an_engine_answers_padded_rows_one_by_one_at_their_own_lengths(library, monkeypatch, tmp_path):
    engine = types.SimpleNamespace(create_execution_context=Context)
    monkeypatch.setattr(library.Runtime, "deserialize_cuda_engine", lambda self, stored: engine, raising=False)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    stream = types.SimpleNamespace(cuda_stream=0, synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    (tmp_path / "student.plan").write_bytes(b"engine")
    answer = load_engine(tmp_path / "student.plan")
    assert answer(np.zeros((2, 4800)), np.array([1.0, 0.5])).shape == (2, 3)
    assert [call[2] for call in CALLS if call[0] == "set_input_shape"] == [(1, 4800), (1, 2400)]


def test_without_the_library_the_error_says_what_to_do(monkeypatch, micro_file, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ImportError, match="TensorRT cannot be imported .*pip install tensorrt.*or export to ONNX"):
        build_engine(micro_file, tmp_path)


def test_an_old_library_is_refused(library, micro_file, tmp_path):
    library.__version__ = "8.6.1"
    with pytest.raises(ImportError, match=r"TensorRT 8\.6\.1 is too old"):
        build_engine(micro_file, tmp_path)


def test_without_a_gpu_nothing_is_built(library, monkeypatch, micro_file, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="built on the GPU that it will run on"):
        build_engine(micro_file, tmp_path)


@pytest.mark.parametrize("options", [{"batch": (0, 1, 2)}, {"batch": (1, 3, 2)}, {"samples": (100, 1600, 1600)}])
def test_shapes_that_do_not_rise_are_refused(options):
    with pytest.raises(ValueError, match="must be three rising numbers"):
        Shapes(**options)
