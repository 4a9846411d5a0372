"""How a worker process loads what it is to run; each loader imports nothing but what its way needs.

A loader takes the model's place on disk and the number of threads, and returns a function from waveforms
[batch, samples] float32 to an array. What it imports counts as memory of its way.
"""

from collections.abc import Callable

import numpy as np

SAMPLE_RATE_HZ = 16000
Answer = Callable[[np.ndarray], object]


def onnx_file(file: str, threads: int) -> Answer:
    """An exported file on ONNX Runtime."""
    from akd_toolkit.inference.session import open_session

    session = open_session(file, threads)
    name = session.get_inputs()[0].name
    return lambda waveforms: session.run(None, {name: waveforms})[0]


def openvino_file(file: str, threads: int) -> Answer:
    """An exported file on OpenVINO, in float32 on the CPU, tuned for latency."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    options["ENABLE_CPU_PINNING"] = False  # the other rows' threads may move too
    request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()
    return lambda waveforms: request.infer([waveforms], share_inputs=True)[0]


def torch_student(folder: str, threads: int) -> Answer:
    """A saved student as it is, on PyTorch."""
    return _student(folder, threads)


def torch_front_end(folder: str, threads: int) -> Answer:
    """The front end of a saved student alone."""
    import torch

    student, _ = _opened(folder, threads)

    @torch.inference_mode()
    def answer(waveforms):
        return student.front_end(torch.from_numpy(waveforms))

    return answer


def compiled_student(folder: str, threads: int) -> Answer:
    """A saved student through torch.compile; every shape is compiled when it is first met."""
    import torch

    return _student(folder, threads, torch.compile)


def cuda_student(folder: str, threads: int) -> Answer:
    """A saved student on the first GPU, float32; the waveform comes from the host and the answer goes back to it."""
    return _student(folder, threads, lambda student: student.to("cuda"))


def torchscript_file(file: str, threads: int) -> Answer:
    """A TorchScript file on PyTorch."""
    import torch

    _set_threads(threads)
    module = torch.jit.load(file).eval()

    @torch.inference_mode()
    def answer(waveforms):
        return module(torch.from_numpy(waveforms)).numpy()

    return answer


def tensorrt_file(file: str, threads: int) -> Answer:
    """A TensorRT engine on the first GPU."""
    from akd_toolkit.deploy.export.tensorrt import load_engine

    return load_engine(file)


def opensmile_functionals(name: str, threads: int) -> Answer:
    """openSMILE's functionals, one utterance after the other: it has no batches."""
    import opensmile

    level = opensmile.FeatureLevel.Functionals
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet[name], feature_level=level, num_workers=threads)
    return lambda waveforms: [smile.process_signal(waveform, SAMPLE_RATE_HZ) for waveform in waveforms]


def wav2vec2(name: str, threads: int, device: str = "cpu") -> Answer:
    """wav2vec 2.0 with random weights: the same operations as the trained one, and nothing to download."""
    import torch
    import transformers

    _set_threads(threads)
    model = transformers.Wav2Vec2Model(getattr(transformers, name)()).eval().to(device)

    @torch.inference_mode()
    def answer(waveforms):
        return model(torch.from_numpy(waveforms).to(device)).last_hidden_state.cpu().numpy()

    return answer


def wav2vec2_cuda(name: str, threads: int) -> Answer:
    """The same on the first GPU."""
    return wav2vec2(name, threads, "cuda")


LOADERS = {
    loader.__name__: loader
    for loader in (onnx_file, openvino_file, torch_student, torch_front_end, compiled_student, cuda_student)
    + (torchscript_file, tensorrt_file, opensmile_functionals, wav2vec2, wav2vec2_cuda)
}


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # can be set once only, and before anything has run
        torch.set_num_interop_threads(1)


def _opened(folder: str, threads: int):
    from akd_toolkit.models.storage import load_student

    _set_threads(threads)
    return load_student(folder)


def _student(folder: str, threads: int, change=lambda student: student) -> Answer:
    from akd_toolkit.inference.engine import engine_of

    student, about = _opened(folder, threads)
    return engine_of(change(student), about)
