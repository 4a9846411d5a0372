"""The toolkit as a user installs it: from a wheel, into an empty environment, without the extra train.

    python tools/wheel_check.py --speech speech.wav

Prints the seconds from ``pip install`` to the first answer, the size of the environment, and time and peak memory of
``akd predict`` (the fastest of ``--times`` calls). Packages come from the package index or pip's cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHILD = """import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", metavar="SOURCE", help="as of akd predict; by default the student in the package")
    parser.add_argument("--speech", required=True, metavar="FILE", help="a sound file")
    parser.add_argument("--times", type=int, default=10, help="calls of akd predict")
    arguments = parser.parse_args(argv)
    os.environ.pop("PYTHONPATH", None)  # which would put this checkout before the wheel
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")
        environment = Path(folder, "venv")
        venv.create(environment, with_pip=True)
        bare_mb = _megabytes(environment)
        command = [environment / "bin/akd", "predict", arguments.speech]
        command += ["--model", arguments.model] if arguments.model else []
        start = time.perf_counter()
        subprocess.run([environment / "bin/python", *pip[1:], "install", "--quiet", wheel], check=True)
        installed = time.perf_counter()
        subprocess.run(command, check=True)
        print(f"pip install {installed - start:.1f} s, first answer {time.perf_counter() - installed:.2f} s later")
        print(f"environment: {_megabytes(environment):.0f} MB, of which {bare_mb:.0f} MB before the installation")
        calls = [
            subprocess.run([sys.executable, "-c", CHILD, *command], check=True, capture_output=True, text=True)
            for _ in range(arguments.times)
        ]
        seconds, of_cpu, kilobytes = min(tuple(map(float, call.stdout.split())) for call in calls)
        print(f"akd predict: {seconds:.2f} s, {of_cpu:.2f} s of processor time, {kilobytes / 1000:.0f} MB")
    return 0


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6


if __name__ == "__main__":
    sys.exit(main())
