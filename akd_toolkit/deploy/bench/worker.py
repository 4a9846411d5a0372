"""The process of one row: ``python -m akd_toolkit.deploy.bench.worker``, JSON requests on stdin, replies on stdout.

It ends with its stdin, so nothing is left when the benchmark is killed. A loader gets the path of the model and the
number of threads, returns a function of waveforms [batch, samples], and imports only what its backend needs, because
imports count as memory of the backend.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import psutil

from akd_toolkit.deploy.bench.measures import energy_meter, peak_bytes, time_calls

SAMPLE_RATE_HZ = 16000
Predict = Callable[[np.ndarray], object]


def _onnx(file: str, threads: int) -> Predict:
    from akd_toolkit.inference.session import open_session

    session = open_session(file, threads)
    name = session.get_inputs()[0].name
    return lambda waveforms: session.run(None, {name: waveforms})[0]


def _openvino(file: str, threads: int) -> Predict:
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    options["ENABLE_CPU_PINNING"] = False  # the threads of the other rows are not pinned either
    request = core.compile_model(core.read_model(file), "CPU", options).create_infer_request()
    return lambda waveforms: request.infer([waveforms], share_inputs=True)[0]


def _torch(folder: str, threads: int, how: str = "") -> Predict:
    from akd_toolkit.inference.engine import engine_of
    from akd_toolkit.models.storage import load_student

    torch = _torch_with(threads)
    student, about = load_student(folder)
    if how == "front_end":
        return torch.inference_mode()(lambda waveforms: student.front_end(torch.from_numpy(waveforms)))
    if how == "compile":
        student = torch.compile(student)
    return engine_of(student.to("cuda") if how == "cuda" else student, about)


def _torchscript(file: str, threads: int) -> Predict:
    torch = _torch_with(threads)
    module = torch.jit.load(file).eval()
    return torch.inference_mode()(lambda waveforms: module(torch.from_numpy(waveforms)).numpy())


def _tensorrt(file: str, threads: int) -> Predict:
    from akd_toolkit.deploy.export.tensorrt import load_engine

    return load_engine(file)


def _opensmile(name: str, threads: int) -> Predict:
    import opensmile

    level = opensmile.FeatureLevel.Functionals
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet[name], feature_level=level, num_workers=threads)
    return lambda waveforms: [smile.process_signal(waveform, SAMPLE_RATE_HZ) for waveform in waveforms]


def _wav2vec2(config: str, threads: int, device: str = "cpu") -> Predict:
    import transformers

    torch = _torch_with(threads)
    model = transformers.Wav2Vec2Model(getattr(transformers, config)()).eval().to(device)  # random weights

    @torch.inference_mode()
    def predict(waveforms):
        return model(torch.from_numpy(waveforms).to(device)).last_hidden_state.cpu().numpy()

    return predict


LOADERS = {
    "onnx": _onnx,
    "openvino": _openvino,
    "torch": _torch,
    "front_end": partial(_torch, how="front_end"),
    "compile": partial(_torch, how="compile"),
    "cuda": partial(_torch, how="cuda"),
    "torchscript": _torchscript,
    "tensorrt": _tensorrt,
    "opensmile": _opensmile,
    "wav2vec2": _wav2vec2,
    "wav2vec2_cuda": partial(_wav2vec2, device="cuda"),
}


def _torch_with(threads: int):
    import torch

    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:  # can be set only once
        torch.set_num_interop_threads(1)
    return torch


def first_line(error: Exception) -> str:
    """First line of an error's message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def serve(requests, replies) -> None:
    """Time a model for each line ``[what, batch, seconds]``; the first line is the job.

    The job holds ``signals`` (file), ``threads``, ``on_gpu``, and ``[loader, path]`` of ``whole`` and perhaps of
    ``features``. A reply holds the seconds of each call, at least two after one that is not timed, their joules where
    they are counted, and how far the memory has risen since the start; or the reason of a failure.
    """
    job, models = json.loads(next(requests)), {}
    signals, meter = np.load(job["signals"]), energy_meter(job["on_gpu"])  # [largest batch, samples]
    before = psutil.Process().memory_info().rss
    for line in requests:
        what, batch, seconds = json.loads(line)
        try:
            if what not in models:
                loader, path = job[what]
                models[what] = LOADERS[loader](path, job["threads"])
            call = partial(models[what], np.ascontiguousarray(signals[:batch]))
            call()
            stop = meter() if meter else None
            taken = time_calls(call, seconds, warm_up=0)
            reply = {"seconds": taken, "joules": stop() if stop else None, "memory_bytes": peak_bytes() - before}
        except Exception as error:  # backends fail in many ways; the row shows the reason
            reply = {"error": f"{type(error).__name__}: {first_line(error)}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    # What libraries and compilers print must not get between the replies.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        serve(sys.stdin, out)
