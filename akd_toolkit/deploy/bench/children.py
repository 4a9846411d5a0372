"""A worker process as the bench sees it: asked by one line, answered by one line."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from akd_toolkit.deploy.bench.rows import FEATURES, WHOLE, Row


class WorkerError(RuntimeError):
    """The worker could not do what it was asked; its message is the reason."""


class Child:
    """The process of one row, with its threads fixed before anything is imported.

    Arguments
    ---------
    voices
        File of the waveforms, ``.npy``.
    work
        Folder for what the process leaves behind, such as compiled kernels.
    """

    def __init__(self, row: Row, voices: Path, work: Path):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        # A session of its own: Ctrl-C is the bench's alone to answer.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "akd_toolkit.deploy.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=_environment(row.threads, work),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        job = {"voices": str(voices), "threads": row.threads, "on_gpu": row.on_gpu, WHOLE: [row.loader, row.place]}
        if row.features_place:
            job[FEATURES] = list(row.features_place)
        self._send(job)

    def ask(self, method: str, **arguments):
        """What the worker's method returns.

        Raises
        ------
        WorkerError
            If it failed, or the process died.
        """
        self._send([method, arguments])
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def close(self) -> None:
        """End the process; nothing of it remains."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _send(self, message) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it died: the answer that does not come says so

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"its process ended {how}" + (f": {lines[-1]}" if lines else "")


def _environment(threads: int, work: Path) -> dict:
    pools = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], str(threads))
    return {
        **os.environ,
        **pools,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONWARNINGS": "ignore",
        "HF_HUB_OFFLINE": "1",
        # Kernels are compiled anew, in the process itself: a warm cache or a pool beside it would belie its memory.
        "TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
