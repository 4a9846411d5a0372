"""Resident memory of this process, in bytes."""

import sys


def resident_bytes() -> int:
    """What it holds now; where the system does not tell, the most it ever held."""
    return _status("VmRSS") or peak_bytes()


def peak_bytes() -> int:
    """The most it ever held."""
    if found := _status("VmHWM"):
        return found
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, others KiB


def _status(name: str) -> int:
    """A line of /proc/self/status such as ``VmRSS:   1234 kB``; 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            found = next((line for line in lines if line.startswith(f"{name}:")), None)
    except OSError:
        return 0
    return 1024 * int(found.split()[1]) if found else 0
