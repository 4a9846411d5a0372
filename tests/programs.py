"""Programs that tests start: one thread each, and one time limit that also holds on a busy machine."""

import os
import subprocess
import sys
from pathlib import Path

LIMIT_S = 1800  # against a program that hangs; the slowest takes a minute on an idle core


def run_python(*arguments: str, cwd: Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess:
    """Run ``python`` with these arguments in ``cwd``; output and errors are captured as text."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [python, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
