"""The ways in which a student can be run, and why one cannot be taken here."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """One way to run a student.

    Arguments
    ---------
    title
        As the table names it.
    loader
        Name of the loader in ``loaders.py``.
    part
        Which of a model's places it takes: ``folder``, ``fp32``, ``fp16``, ``int8``, ``torchscript``, ``fp32.plan``,
        ``fp16.plan``.
    missing
        Says in a few words what this machine lacks for it; nothing where it can be tried.
    on_gpu
        Whether the model is answered by a GPU; the CPU's threads then hardly matter, and one is taken.
    """

    title: str
    loader: str
    part: str
    missing: Callable[[], str] = str
    on_gpu: bool = False


def _no_compiler() -> str:
    wanted = os.environ.get("CXX", "g++")
    return "" if shutil.which(wanted) else f"needs a C++ compiler, and {wanted} is not there"


def _no_gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device"


def _no_package(name: str, extra: str) -> str:
    found = importlib.util.find_spec(name) is not None
    return "" if found else f"the package {name} is not installed: pip install 'akd-toolkit[{extra}]'"


def _no_openvino() -> str:
    return _no_package("openvino", "openvino")


def _no_tensorrt() -> str:
    return _no_gpu() or _no_package("tensorrt", "tensorrt")


WAYS = {  # the first that is measured is what the others are compared with
    "onnx": Way("ONNX Runtime FP32", "onnx_file", "fp32"),
    "onnx-fp16": Way("ONNX Runtime FP16", "onnx_file", "fp16"),
    "onnx-int8": Way("ONNX Runtime INT8", "onnx_file", "int8"),
    "openvino": Way("OpenVINO FP32", "openvino_file", "fp32", _no_openvino),
    "openvino-int8": Way("OpenVINO INT8", "openvino_file", "int8", _no_openvino),
    "torch": Way("PyTorch", "torch_student", "folder"),
    "compile": Way("torch.compile", "compiled_student", "folder", _no_compiler),
    "torchscript": Way("TorchScript", "torchscript_file", "torchscript"),
    "cuda": Way("PyTorch, CUDA", "cuda_student", "folder", _no_gpu, on_gpu=True),
    "tensorrt": Way("TensorRT FP32", "tensorrt_file", "fp32.plan", _no_tensorrt, on_gpu=True),
    "tensorrt-fp16": Way("TensorRT FP16", "tensorrt_file", "fp16.plan", _no_tensorrt, on_gpu=True),
}
