"""The rows of the table, and the numbers that their timed calls make."""

from collections import defaultdict
from dataclasses import dataclass, field

from akd_toolkit.deploy.bench.timing import percentile_ms

WHOLE, FEATURES = "whole", "features"
MEASURED = ["p50_ms", "p95_ms", "min_ms", "rtf", "features_share", "windows_per_s", "best_batch", "memory_mb"]
MEASURED += ["mj_per_window", "times_first", "calls"]


@dataclass
class Row:
    """One model, run in one way with so many threads.

    Arguments
    ---------
    loader, place
        What its worker calls, and on what.
    features_place
        ``(loader, place)`` of the front end alone; None where it cannot be had alone.
    parameters, gflops, megabytes
        Learned numbers; operations of one window; of the file. None where not told.
    reason
        Why nothing was measured; empty where something was.
    note
        What a reader must know of the row.
    """

    model: str
    way: str
    threads: int
    loader: str = ""
    place: str = ""
    features_place: tuple[str, str] | None = None
    on_gpu: bool = False
    parameters: int | None = None
    gflops: float | None = None
    megabytes: float | None = None
    reason: str = ""
    note: str = ""
    memory_mb: float | None = None
    joules: float | None = None  # of all timed calls at batch 1
    seconds: dict = field(default_factory=lambda: defaultdict(list))  # (WHOLE or FEATURES, batch) -> of each call

    @property
    def title(self) -> str:
        return f"{self.model}, {self.way}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def measured(self) -> bool:
        return not self.reason and bool(self.seconds[WHOLE, 1])

    def p50_ms(self, what: str = WHOLE, batch: int = 1) -> float:
        return percentile_ms(self.seconds[what, batch], 50)


def numbers(row: Row, window_s: float, first_ms: float | None = None) -> dict:
    """Plain numbers of a row, None where there are none; ``first_ms`` is the median of the row it is compared with."""
    told = {
        "model": row.model,
        "run by": row.way,
        "threads": row.threads,
        "parameters": row.parameters,
        "gflops": row.gflops,
        "file_mb": row.megabytes,
    }
    measured = dict.fromkeys(MEASURED)
    if row.measured:
        alone, p50 = row.seconds[WHOLE, 1], row.p50_ms()
        rates = {
            b: 1e3 * b / row.p50_ms(batch=b) for (what, b), taken in row.seconds.items() if what == WHOLE and taken
        }
        best = max(rates, key=rates.get)
        measured |= {
            "p50_ms": p50,
            "p95_ms": percentile_ms(alone, 95),
            "min_ms": 1e3 * min(alone),
            "rtf": p50 / 1e3 / window_s,
            "features_share": row.p50_ms(FEATURES) / p50 if row.seconds[FEATURES, 1] else None,
            "windows_per_s": rates[best],
            "best_batch": best,
            "memory_mb": row.memory_mb,
            "mj_per_window": None if row.joules is None else 1e3 * row.joules / len(alone),
            "times_first": p50 / first_ms if first_ms else None,
            "calls": len(alone),
        }
    return {**told, **measured, "note": row.reason or row.note}
