"""The machine that numbers were measured on, by name."""

import os
import platform
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "tensorrt", "opensmile", "transformers", "numpy")
BUSY = 0.25  # of its cores at work with something else, or more


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_machine() -> dict:
    """Plain data: processor, cores, memory, system, GPU, versions, time, and the load of the last minute."""
    from akd_toolkit import __version__

    versions = {"akd_toolkit": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": cpu_name(),
        "instructions": _instructions(),
        "cores": num_cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "gpu": _gpu(),
        "versions": versions,
        "load_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.now().astimezone().isoformat("T", "seconds"),
    }


def busy_warning(load: float | None, cores: int) -> str:
    """A sentence where the machine was at work already; nothing where it was not, or does not tell.

    Example
    -------
    >>> busy_warning(0.3, cores=4)
    ''
    >>> busy_warning(1.5, cores=2)
    'The machine was busy: a load of 1.5 on 2 cores before anything was measured. Latencies may be too high.'
    """
    if load is None or load < BUSY * cores:
        return ""
    return (
        f"The machine was busy: a load of {load:.1f} on {cores} cores before anything was measured. "
        "Latencies may be too high."
    )


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name for people."""
    if found := _from_cpuinfo("model name", cpuinfo):
        return found
    if sys.platform == "darwin":
        told = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return told.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _instructions() -> list[str]:
    """Instruction sets that decide over 8-bit and half precision."""
    telling = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "asimddp")
    has = _from_cpuinfo("flags").split() or _from_cpuinfo("Features").split()
    return [name for name in telling if name in has]


def _from_cpuinfo(key: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    if not cpuinfo.is_file():
        return ""
    pairs = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
