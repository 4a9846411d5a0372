"""A TensorRT engine of an exported ONNX file, for one kind of NVIDIA GPU.

Written against the documented Python API of TensorRT 10; it has never been run with the library itself, which was not
to be had. Its tests run it with a stand-in that notes what is called.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.data.files import written_aside
from akd_toolkit.inference.padding import by_row, without_lengths
from akd_toolkit.inference.session import MIN_SAMPLES, load_model

WORKSPACE_BYTES = 1 << 30  # memory that TensorRT may try tactics with


@dataclass(frozen=True)
class Shapes:
    """The shapes that an engine accepts, and those that it is fastest at.

    Arguments
    ---------
    batch, samples
        Least, commonest and most, each at least 1 and 1600 (0.1 s) and rising. An engine refuses what lies outside.
    """

    batch: tuple[int, int, int] = (1, 1, 64)
    samples: tuple[int, int, int] = (MIN_SAMPLES, 48000, 480000)

    def __post_init__(self):
        for name, values, least in (("batch", self.batch, 1), ("samples", self.samples, MIN_SAMPLES)):
            if len(values) != 3 or not least <= values[0] <= values[1] <= values[2]:
                raise ValueError(
                    f"{name} must be three rising numbers (least, commonest, most) from {least} on, got {list(values)}."
                )

    def profile(self) -> tuple[tuple[int, int], ...]:
        """Least, commonest and largest shape of ``waveform``.

        Example
        -------
        >>> Shapes(batch=(1, 2, 4)).profile()
        ((1, 1600), (2, 48000), (4, 480000))
        """
        return tuple(zip(self.batch, self.samples, strict=True))


def build_engine(source, target, shapes: Shapes | None = None) -> Path:
    """Build the engine of the ONNX file ``source`` for this machine's GPU, or take the one built before.

    The network is strongly typed: every layer has the precision that the file gives it, so an engine in half
    precision is one of the file that ``to_fp16`` writes, whose front end stays in 32 bits. The engine has the one input
    ``waveform``: the file's loop over padded rows is left out, as TensorRT builds no loop whose turns differ in shape.

    Arguments
    ---------
    target
        A file ending in ``.plan``, or a folder, in which the engine gets ``engine_name``. One that exists in the
        folder is taken as it is: its name tells GPU, TensorRT and file.

    Raises
    ------
    ImportError
        If TensorRT is not installed.
    ValueError
        If there is no GPU, or TensorRT cannot build the file.
    """
    trt = _tensorrt()
    shapes = shapes or Shapes()
    model, target = without_lengths(load_model(source)), Path(target)
    if target.suffix != ".plan":
        target = target / engine_name_here(source, shapes)
        if target.is_file():
            return target
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        reasons = "; ".join(parser.get_error(place).desc() for place in range(parser.num_errors))
        raise ValueError(f"TensorRT does not read {source} ({reasons}); use the ONNX file with ONNX Runtime.")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    profile = builder.create_optimization_profile()
    profile.set_shape("waveform", *shapes.profile())
    config.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise ValueError(f"TensorRT cannot build {source} for this GPU; use the ONNX file with ONNX Runtime.")
    with written_aside(target) as aside:
        aside.write_bytes(bytes(built))
    return target


def engine_name(source, gpu: str, capability: tuple[int, int], version: str, shapes: Shapes | None = None) -> str:
    """File name of an engine: an engine runs only on the GPU and with the TensorRT that it was built for.

    Arguments
    ---------
    source
        The ONNX file; its content and the shapes are what the last part of the name tells.
    gpu, capability
        Name and compute capability of the GPU.
    version
        Of TensorRT.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "student.fp16.onnx"
    >>> _ = file.write_bytes(b"graph")
    >>> engine_name(file, "NVIDIA H200", (9, 0), "10.3.0")
    'student.fp16.nvidia-h200.sm90.trt10.3.0.321074f0.plan'
    """
    told = hashlib.sha256(Path(source).read_bytes() + repr(shapes or Shapes()).encode()).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return f"{Path(source).stem}.{name}.sm{capability[0]}{capability[1]}.trt{version}.{told}.plan"


def engine_name_here(source, shapes: Shapes | None = None) -> str:
    """``engine_name`` for this machine's first GPU and TensorRT.

    Raises
    ------
    ImportError, ValueError
        If there is no TensorRT, or no GPU.
    """
    version = check_tensorrt()
    gpu, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    return engine_name(source, gpu, capability, version, shapes)


def check_tensorrt() -> str:
    """Version of TensorRT, if an engine can be built here.

    Raises
    ------
    ImportError, ValueError
        If there is no TensorRT, or no GPU.
    """
    version = _tensorrt().__version__
    if not torch.cuda.is_available():
        raise ValueError("a TensorRT engine is built on the GPU that it will run on; run this where there is one.")
    return version


def load_engine(path):
    """The answering function of a ``.plan`` file, [batch, samples] -> [batch, classes], on the first GPU.

    It takes ``lengths`` [batch] as its second argument, the share of the samples of each row that is speech; the engine
    then answers row by row, each at its own length (``set_input_shape``), so its profile must allow a batch of 1.

    An engine may hold compiled code, so load none that was not built on this machine.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        If there is no such file, no TensorRT, or the engine was built for another GPU or TensorRT.
    """
    trt = _tensorrt()
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; build it with akd export --format tensorrt.")
    runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
    engine = runtime.deserialize_cuda_engine(Path(path).read_bytes())
    if engine is None:
        raise ValueError(f"{path} was built for another GPU or TensorRT; build it again on this machine.")
    context = engine.create_execution_context()

    def answer(waveforms: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        if lengths is not None:
            return by_row(answer, waveforms, lengths)
        waveform = torch.from_numpy(np.ascontiguousarray(waveforms, dtype=np.float32)).cuda()
        if not context.set_input_shape("waveform", tuple(waveform.shape)):
            raise ValueError(f"{path} was not built for a batch of shape {list(waveform.shape)}; build it with more.")
        probabilities = torch.empty(tuple(context.get_tensor_shape("probabilities")), device=waveform.device)
        context.set_tensor_address("waveform", waveform.data_ptr())
        context.set_tensor_address("probabilities", probabilities.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise ValueError(f"TensorRT could not run {path}; use the ONNX file with ONNX Runtime.")
        stream.synchronize()
        return probabilities.cpu().numpy()

    answer.keeps = (runtime, engine)  # both must live as long as the context
    return answer


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
