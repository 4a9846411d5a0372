"""Energy, where the machine tells it: RAPL for the processor, NVML for an NVIDIA GPU."""

from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


def energy_meter(on_gpu: bool = False, powercap: Path = POWERCAP) -> Callable[[], Callable[[], float]] | None:
    """A meter: calling it starts a measurement, and calling what it returns gives the joules since; None if untold.

    Of the whole package or board, with what it needs while idle: only one process measures at a time.

    Source: Linux, Documentation/power/powercap (energy_uj counts microjoules and wraps at max_energy_range_uj); NVIDIA
    NVML, nvmlDeviceGetTotalEnergyConsumption (millijoules since the driver was loaded).
    """
    return _nvml_meter() if on_gpu else _rapl_meter(powercap)


def _rapl_meter(powercap: Path):
    # intel-rapl:0 is a package, intel-rapl:0:1 a part of it, and some machines have one for all of them (psys): nothing
    # must be counted twice.
    zones = (path for path in powercap.glob("intel-rapl:*") if (path / "name").is_file())
    packages = sorted(path for path in zones if (path / "name").read_text().startswith("package"))

    def read() -> list[tuple[int, int]]:
        return [
            (int((path / "energy_uj").read_text()), int((path / "max_energy_range_uj").read_text()))
            for path in packages
        ]

    try:
        if not read():
            return None
    except (OSError, ValueError):  # often only root may read it
        return None

    def start():
        before = read()

        def stop() -> float:
            gained = [(now - then) % (limit + 1) for (then, limit), (now, _) in zip(before, read(), strict=True)]
            return sum(gained) / 1e6

        return stop

    return start


def _nvml_meter():
    try:
        import pynvml

        pynvml.nvmlInit()
        board = pynvml.nvmlDeviceGetHandleByIndex(0)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    except Exception:  # NVML has a class of its own for every way in which it cannot
        return None

    def start():
        before = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
        return lambda: (pynvml.nvmlDeviceGetTotalEnergyConsumption(board) - before) / 1e3

    return start
