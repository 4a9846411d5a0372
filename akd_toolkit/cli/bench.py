"""``akd bench SOURCE...``: how fast, how small and how hungry a student is on this machine, beside named peers."""

import argparse
import logging
from pathlib import Path

from akd_toolkit.bench.options import PEERS, check_options
from akd_toolkit.bench.ways import WAYS

EPILOG = """examples:
  akd bench micro_cnn                                     a registered student, fresh weights
  akd bench results/akd/seed17/fold1/outer --to bench     a finished run; bench.md, bench.csv, environment.json
  akd bench student.onnx --ways onnx onnx-int8 --threads 1 --peers none
A way that this machine does not offer has a row that says why. Ctrl-C keeps what was measured."""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="speed, size, memory and energy of a student on this machine, beside named peers",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", help="run folder, bundle folder, .onnx file, or a registered student")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), metavar="WAY", help=f"of {', '.join(WAYS)} (all)")
    parser.add_argument(
        "--peers", nargs="+", default=list(PEERS), metavar="PEER", help=f"of {', '.join(PEERS)}, or none"
    )
    parser.add_argument("--threads", nargs="+", default=["1", "all"], metavar="N", help="CPU threads (1 all)")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[1, 8, 32], metavar="N", help="for windows/s (1 8 32)"
    )
    parser.add_argument("--window_s", type=float, default=3.0, metavar="S", help="length of a window, s (3)")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="for each row and batch size (2)")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="folder for bench.md, .csv, .png, environment.json")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    asked = {
        "sources": arguments.source,
        "ways": arguments.ways,
        "peers": [] if arguments.peers == ["none"] else arguments.peers,
        "threads": arguments.threads,
        "batches": arguments.batches,
        "window_s": arguments.window_s,
        "seconds": arguments.seconds,
    }
    check_options(**asked)
    if arguments.to and arguments.to.is_file():
        raise ValueError(f"{arguments.to} is a file; give a folder for bench.md and the others.")
    logging.getLogger("speechbrain").setLevel(logging.WARNING)  # it greets whoever imports it
    from akd_toolkit.bench.plot import plot_latency
    from akd_toolkit.bench.run import run_bench  # here, because torch comes with it
    from akd_toolkit.bench.table import bench_markdown, write_bench

    bench = run_bench(**asked)
    print(bench_markdown(bench))
    if arguments.to:
        print(f"written to {write_bench(bench, arguments.to)}")
        plot_latency(bench, arguments.to / "bench.png")
    return 130 if bench.stopped else 0
