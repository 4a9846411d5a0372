"""The process of one row: ``python -m akd_toolkit.deploy.bench.worker``, JSON requests on stdin, JSON replies out.

``load`` loads a model and tells the memory it took, ``warm`` makes a batch's first calls, ``time`` times a slice of
them. It ends when its stdin does, so nothing is left behind when the bench is killed.
"""

import json
import os
import sys
import time

import numpy as np

from akd_toolkit.deploy.bench.energy import energy_meter
from akd_toolkit.deploy.bench.loaders import LOADERS
from akd_toolkit.deploy.bench.memory import peak_bytes, resident_bytes
from akd_toolkit.deploy.bench.timing import time_calls

WARM_CALLS = 3


class Worker:
    """One model in this process; every public method answers one kind of request with plain data."""

    def __init__(self, job: dict):
        self.job = job
        self.voices = np.load(job["voices"])  # [largest batch, samples]
        self.answers = {}
        self.meter = energy_meter(job["on_gpu"])

    def load(self) -> dict:
        """Load, answer three times, and tell how far the memory rose since the process was bare."""
        before = resident_bytes()
        answer = self._answer("whole")
        for _ in range(WARM_CALLS):
            answer(self.voices[:1])
        return {"memory_bytes": peak_bytes() - before}

    def warm(self, what: str, batch: int) -> dict:
        """Seconds of one call once the first is done, which may compile something."""
        call = self._call(what, batch)
        call()
        start = time.perf_counter()
        call()
        return {"seconds": time.perf_counter() - start}

    def time(self, what: str, batch: int, seconds: float) -> dict:
        """Seconds of each call of a slice, and the joules of all of them where the machine tells."""
        call = self._call(what, batch)
        call()
        stop = self.meter() if self.meter else None
        taken = time_calls(call, seconds, warm_up=0)
        return {"seconds": taken, "joules": stop() if stop else None}

    def _call(self, what: str, batch: int):
        answer, waveforms = self._answer(what), np.ascontiguousarray(self.voices[:batch])
        return lambda: answer(waveforms)

    def _answer(self, what: str):
        if what not in self.answers:
            loader, place = self.job[what]
            self.answers[what] = LOADERS[loader](place, self.job["threads"])
        return self.answers[what]


def serve(requests, replies) -> None:
    """The first line is the job; each later one ``[method, arguments]``. A failure is a reply with its reason."""
    worker = Worker(json.loads(next(requests)))
    for line in requests:
        method, arguments = json.loads(line)
        try:
            reply = getattr(worker, method)(**arguments)
        except Exception as error:  # the way is another's library, which may fail in any way: its row says so
            reply = {"error": f"{type(error).__name__}: {_first_line(error)}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


if __name__ == "__main__":
    # What libraries print, compilers too, must not get between the replies.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        serve(sys.stdin, out)
