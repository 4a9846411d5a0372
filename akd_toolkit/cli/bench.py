"""``akd bench SOURCE...``: speed, size and memory of a student on this machine, compared with other models."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from akd_toolkit.cli.command import show
from akd_toolkit.deploy.bench.backends import BACKENDS, PEERS, check_options

EPILOG = """examples:
  akd bench micro_cnn                                     a registered student, fresh weights
  akd bench results/akd/seed17/fold1/outer --to bench     a finished run; bench.md, bench.csv, environment.json
  akd bench student.onnx --ways onnx onnx-int8 --threads 1 --peers none
A backend that is unavailable here gets a row with the reason. Ctrl-C keeps what was measured."""


def run(
    source: Annotated[list[str], Argument(metavar="SOURCE...", help="run, bundle, .onnx file, or registered student")],
    ways: Annotated[list[str], Option(metavar="WAY...", autocompletion=lambda: list(BACKENDS))] = tuple(BACKENDS),
    peers: Annotated[
        list[str], Option(metavar="PEER...", help="of these, or none", autocompletion=lambda: [*PEERS, "none"])
    ] = tuple(PEERS),
    threads: Annotated[list[str], Option(metavar="N...", help="CPU threads")] = ("1", "all"),
    batches: Annotated[list[int], Option(metavar="N...", help="for windows/s")] = (1, 8, 32),
    window_s: Annotated[float, Option("--window_s", metavar="S", help="length of a window, s")] = 3.0,
    seconds: Annotated[float, Option(metavar="S", help="for each row and batch size")] = 2.0,
    to: Annotated[Path | None, Option(metavar="FOLDER", help="for bench.md, .csv, .png, environment.json")] = None,
) -> int:
    options = {"sources": source, "backends": ways, "peers": [] if peers == ["none"] else peers, "threads": threads}
    options |= {"batches": batches, "window_s": window_s, "seconds": seconds}
    check_options(**options)
    if to and to.is_file():
        raise ValueError(f"{to} is a file; give a folder for bench.md and the others.")
    from akd_toolkit.deploy.bench.run import run_bench
    from akd_toolkit.deploy.bench.table import bench_markdown, write_bench

    bench = run_bench(**options)
    show(bench_markdown(bench))
    if to:
        print(f"written to {write_bench(bench, to)}")
    return 130 if bench.stopped else 0
