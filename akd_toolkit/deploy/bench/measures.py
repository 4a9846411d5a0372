"""What is measured: calls, operations, memory, energy, and the machine itself."""

import gc
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil

_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}  # index of the kernel in the inputs
_PRODUCTS = {"MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul"}
PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "tensorrt", "opensmile", "transformers", "numpy")
# Instruction sets that matter for 8-bit and half precision.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "asimddp")
BUSY = 0.25  # share of the cores from which the machine counts as busy
POWERCAP = Path("/sys/class/powercap")


def time_calls(call: Callable, seconds: float, fewest=2, warm_up=1, clock: Callable = time.perf_counter) -> list[float]:
    """Seconds of each call after ``warm_up`` others, until ``seconds`` have passed and ``fewest`` calls are done."""
    for _ in range(warm_up):
        call()
    collecting = gc.isenabled()
    gc.disable()  # a collection would count as time of a call
    try:
        taken, begin = [], clock()
        end = begin
        while len(taken) < fewest or end - begin < seconds:
            start = clock()
            call()
            end = clock()
            taken.append(end - start)
    finally:
        if collecting:
            gc.enable()
    return taken


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    """Percentile in ms, interpolated between neighbours."""
    return float(1e3 * np.percentile(seconds, percent))


def operations_of_module(module, num_samples: int) -> int:
    """Operations of a PyTorch module on one waveform: matrix products and convolutions, front end included.

    One multiplication with its addition is two operations.

    Example
    -------
    >>> import torch
    >>> operations_of_module(torch.nn.Linear(100, 10, bias=False), num_samples=100)
    2000
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    device = next(module.parameters()).device
    # The counter does not know the fused attention of a CPU; the MATH backend is two matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, num_samples, device=device))
    return counter.get_total_flops()


def operations_of_file(path, num_samples: int) -> int:
    """The same for an exported file, from the shapes in the profile of one run without optimisation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.zeros((1, num_samples), dtype=np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return sum(_operations(event["args"]) for event in events if event.get("name", "").endswith("_kernel_time"))


def _operations(node: dict) -> int:
    """Operations of one profiled node, whose shapes are such as ``[{"float": [1, 2]}]``."""
    inputs, outputs = (
        [shape for entry in node[f"{side}_type_shape"] for shape in entry.values()] for side in ("input", "output")
    )
    kind = node["op_name"]
    if kind in _CONVOLUTIONS:
        return 2 * math.prod(outputs[0]) * math.prod(inputs[_CONVOLUTIONS[kind]][1:])
    if kind in _PRODUCTS:
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    if kind in ("Gemm", "FusedGemm", "QGemm"):
        return 2 * math.prod(inputs[0]) * outputs[0][1]
    return 0


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine() -> dict:
    """Plain data: processor, cores, memory, system, GPU, versions, time, and the load of the last minute."""
    import torch

    from akd_toolkit import __version__

    versions = {"akd_toolkit": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    flags = _cpuinfo("flags|Features").split()
    return {
        "cpu": cpu_name(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "cores": num_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "versions": versions,
        "load_at_start": round(psutil.getloadavg()[0], 2),
        "date": datetime.now().astimezone().isoformat("T", "seconds"),
    }


def busy_warning(load: float, cores: int) -> str:
    """A warning if the machine was busy, or an empty string."""
    if load < BUSY * cores:
        return ""
    return f"The machine was busy before the measurement (load {load:.1f} on {cores} cores). Latencies may be too high."


def cpu_name() -> str:
    """The processor's name."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or platform.machine()
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    """The first value of a key; empty where the file or the key is missing."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(rf"^({key})\s*:\s*(.*)$", text, re.MULTILINE)
    return found[2].strip() if found else ""


def peak_bytes() -> int:
    """Most memory that this process ever held."""
    try:  # ru_maxrss of Linux would include the memory of the parent process, so that comes second
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    except (OSError, TypeError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, others KiB


def energy_meter(on_gpu: bool = False, powercap: Path = POWERCAP) -> Callable[[], Callable[[], float]] | None:
    """A meter: call it to start, and call what it returns for the joules since; None where there is no counter.

    Joules of the whole package or board, including idle power, so only one process may measure at a time.

    Source: Linux, Documentation/power/powercap (energy_uj counts microjoules and wraps at max_energy_range_uj); NVIDIA
    NVML, nvmlDeviceGetTotalEnergyConsumption (millijoules since the driver was loaded).
    """
    try:
        read = _board_counter() if on_gpu else _package_counters(powercap)
        if not read():
            return None
    except Exception:  # often only root may read the counters; NVML has many error classes
        return None

    def start():
        before = read()
        return lambda: sum((now - b) % (limit + 1) for (b, limit), (now, _) in zip(before, read(), strict=True)) / 1e6

    return start


def _package_counters(powercap: Path) -> Callable[[], list[tuple]]:
    """A function that reads (microjoules, limit) of every processor package."""
    # intel-rapl:0 is a package, intel-rapl:0:1 a part of it; psys, on some machines, contains all packages.
    zones = (path for path in powercap.glob("intel-rapl:*") if (path / "name").is_file())
    packages = sorted(path for path in zones if (path / "name").read_text().startswith("package"))
    files = ("energy_uj", "max_energy_range_uj")
    return lambda: [tuple(int((package / file).read_text()) for file in files) for package in packages]


def _board_counter() -> Callable[[], list[tuple]]:
    """The same of the first GPU, whose counter does not wrap."""
    import pynvml

    pynvml.nvmlInit()
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    return lambda: [(1e3 * pynvml.nvmlDeviceGetTotalEnergyConsumption(board), math.inf)]
