"""TensorRT engines of exported ONNX files, for one kind of NVIDIA GPU.

Written against the documented Python API of TensorRT 10 and never run with the library itself; the tests use a stub.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.export.graph import without_lengths
from akd_toolkit.inference.session import MIN_SAMPLES, by_row, load_model

WORKSPACE_BYTES = 1 << 30  # memory for trying tactics


@dataclass(frozen=True)
class Shapes:
    """Shapes that an engine accepts: minimum, optimum and maximum of batch (>= 1) and samples (>= 1600, 0.1 s)."""

    batch: tuple[int, int, int] = (1, 1, 64)
    samples: tuple[int, int, int] = (MIN_SAMPLES, 48000, 480000)

    def __post_init__(self):
        for name, values, least in (("batch", self.batch, 1), ("samples", self.samples, MIN_SAMPLES)):
            if len(values) != 3 or not least <= values[0] <= values[1] <= values[2]:
                raise ValueError(
                    f"{name} must be three ascending numbers (minimum, optimum, maximum) >= {least}, got "
                    f"{list(values)}."
                )


def build_engine(source, target, shapes: Shapes | None = None) -> Path:
    """Build the engine of the ONNX file ``source`` for this machine's GPU, and write it to ``target`` (``.plan``).

    The network is strongly typed: every layer has the precision of the file, so build a half-precision engine from a
    file of ``to_fp16``. Its only input is ``waveform``: TensorRT does not support the loop of ``lengths``.

    ImportError or ValueError if TensorRT is not installed, there is no GPU, or TensorRT cannot build the file.
    """
    trt, shapes = check_tensorrt(), shapes or Shapes()
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(without_lengths(load_model(source)).SerializeToString()):
        reasons = "; ".join(parser.get_error(place).desc() for place in range(parser.num_errors))
        raise ValueError(f"TensorRT cannot read {source} ({reasons}); use the ONNX file with ONNX Runtime.")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    profile = builder.create_optimization_profile()
    profile.set_shape("waveform", *zip(shapes.batch, shapes.samples, strict=True))
    config.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise ValueError(f"TensorRT cannot build {source} for this GPU; use the ONNX file with ONNX Runtime.")
    with written_aside(target) as aside:
        aside.write_bytes(bytes(built))
    return Path(target)


def engine_name(source, shapes: Shapes | None = None) -> str:
    """File name of an engine on this machine, ``student.fp16.nvidia-h200.sm90.trt10.3.0.321074f0.plan``.

    It names the first GPU, its compute capability, TensorRT's version, and a hash of the ONNX file and the shapes.
    """
    version = check_tensorrt().__version__
    digest = hashlib.sha256(Path(source).read_bytes() + repr(shapes or Shapes()).encode()).hexdigest()[:8]
    gpu = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
    major, minor = torch.cuda.get_device_capability()
    return f"{Path(source).stem}.{gpu}.sm{major}{minor}.trt{version}.{digest}.plan"


def check_tensorrt():
    """TensorRT's module; ImportError or ValueError if it is not installed or there is no GPU."""
    trt = _tensorrt()
    if not torch.cuda.is_available():
        raise ValueError("a TensorRT engine is built on the GPU that runs it, and this machine has none.")
    return trt


def load_engine(path):
    """A ``.plan`` file as a function [batch, samples] -> [batch, classes] on the first GPU.

    With ``lengths`` [batch] as second argument rows are computed one by one, each at its own length, so the engine must
    accept a batch of 1. An engine may contain compiled code: load only those built on this machine.
    """
    trt = _tensorrt()
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; build it with akd export --format tensorrt.")
    runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
    engine = runtime.deserialize_cuda_engine(Path(path).read_bytes())
    if engine is None:
        raise ValueError(f"{path} was built for another GPU or TensorRT; build it again on this machine.")
    context = engine.create_execution_context()

    def predict(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        if lengths is not None:
            return by_row(predict, waveforms, lengths)
        waveform = torch.from_numpy(np.ascontiguousarray(waveforms, dtype=np.float32)).cuda()
        if not context.set_input_shape("waveform", tuple(waveform.shape)):
            raise ValueError(
                f"{path} does not accept a batch of shape {list(waveform.shape)}; widen --batch, --samples."
            )
        probabilities = torch.empty(tuple(context.get_tensor_shape("probabilities")), device=waveform.device)
        context.set_tensor_address("waveform", waveform.data_ptr())
        context.set_tensor_address("probabilities", probabilities.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise ValueError(f"TensorRT could not run {path}; use the ONNX file with ONNX Runtime.")
        stream.synchronize()
        return probabilities.cpu().numpy()

    predict.keeps = (runtime, engine)  # both must live as long as the context
    return predict


def _tensorrt():
    try:
        import tensorrt
    except ImportError as error:
        raise ImportError(
            f"TensorRT cannot be imported ({error}); install it on a machine with an NVIDIA GPU (pip install "
            "tensorrt), or export to ONNX."
        ) from None
    if int(tensorrt.__version__.split(".")[0]) < 10:
        raise ImportError(f"TensorRT {tensorrt.__version__} is too old; install version 10 or later.")
    return tensorrt
