"""Backends that run a student, the peers it is compared with, and the check of all options; imports no PyTorch."""

import os
import re
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PEERS = {
    "opensmile": "openSMILE eGeMAPS functionals (88 numbers; no classifier)",
    "wav2vec2": "wav2vec 2.0 base, frozen (no classifier)",
    "light_sernet": "LIGHT-SERNET, our registered student, as ONNX",
}


class Backend(NamedTuple):
    """One way to run a student; one on a GPU gets a single row, with one CPU thread."""

    title: str  # in the table
    loader: str  # name in worker.LOADERS
    form: str  # of the student: folder, fp32, fp16, int8, torchscript, fp32.plan, fp16.plan
    needs: tuple[str, ...] = ()  # packages, "a GPU" or "a compiler"

    @property
    def on_gpu(self) -> bool:
        return "a GPU" in self.needs

    @property
    def missing(self) -> str:
        """What this machine lacks for it, or an empty string."""
        return next(filter(None, map(missing, self.needs)), "")


def missing(what: str) -> str:
    """Says that a package, a GPU or a compiler is missing; an empty string where it is not."""
    if what == "a GPU":
        import torch

        return "" if torch.cuda.is_available() else "no CUDA device"
    if what == "a compiler":
        compiler = os.environ.get("CXX", "g++")
        return "" if shutil.which(compiler) else f"needs a C++ compiler, but {compiler} was not found"
    return "" if find_spec(what) else f"the package {what} is not installed: pip install 'akd-toolkit[{what}]'"


BACKENDS = {  # the first one measured is the reference of the column "× first"
    "onnx": Backend("ONNX Runtime FP32", "onnx", "fp32"),
    "onnx-fp16": Backend("ONNX Runtime FP16", "onnx", "fp16"),
    "onnx-int8": Backend("ONNX Runtime INT8", "onnx", "int8"),
    "openvino": Backend("OpenVINO FP32", "openvino", "fp32", ("openvino",)),
    "openvino-int8": Backend("OpenVINO INT8", "openvino", "int8", ("openvino",)),
    "torch": Backend("PyTorch", "torch", "folder"),
    "compile": Backend("torch.compile", "compile", "folder", ("a compiler",)),
    "torchscript": Backend("TorchScript", "torchscript", "torchscript"),
    "cuda": Backend("PyTorch, CUDA", "cuda", "folder", ("a GPU",)),
    "tensorrt": Backend("TensorRT FP32", "tensorrt", "fp32.plan", ("a GPU", "tensorrt")),
    "tensorrt-fp16": Backend("TensorRT FP16", "tensorrt", "fp16.plan", ("a GPU", "tensorrt")),
}


def check_options(sources, backends, peers, threads, batches, window_s, seconds) -> None:
    """Raise ValueError for options of ``run_bench`` that cannot be measured, before anything is loaded."""
    for option, given, known, also in (("--ways", backends, BACKENDS, ""), ("--peers", peers, PEERS, ", or none")):
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"{option}: unknown '{unknown[0]}'; known: {', '.join(known)}{also}.")
    thread_counts(threads)
    if min(batches, default=1) < 1:
        raise ValueError(f"batches must be >= 1, got {list(batches)}.")
    if not 0.1 <= window_s <= 60:
        raise ValueError(f"window_s must be from 0.1 to 60 s, got {window_s:g}.")
    if not 0 < seconds <= 3600:
        raise ValueError(f"seconds must be > 0 and at most 3600, got {seconds:g}.")
    for source in sources:
        if not Path(source).exists() and not re.fullmatch(r"[\w-]+", str(source)):
            raise ValueError(
                f"'{source}' does not exist; give an .onnx file, the folder of a run or of a bundle, or the name of a "
                "registered student (akd plugins)."
            )


def thread_counts(counts: Sequence[int | str]) -> list[int]:
    """Numbers of threads without duplicates; ``"all"`` are those that this process may use."""
    for count in counts:
        if count != "all" and not (str(count).isdigit() and int(count) >= 1):
            raise ValueError(f"threads must be numbers >= 1 or 'all', got '{count}'.")
    from akd_toolkit.deploy.bench.measures import num_cores  # loads numpy, which --help does not need

    return list(dict.fromkeys(num_cores() if count == "all" else int(count) for count in counts))
