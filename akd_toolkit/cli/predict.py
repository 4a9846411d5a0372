"""``akd predict``: the emotion of every file, printed as soon as it is known."""

import csv
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer
from typer import Argument, Option

from akd_toolkit.cli.command import Activity, Backend, Jobs, Model, Revision, check_input, open_recognizer

STDIN = "-"
LOG_S = 10  # between two lines of progress if standard error is not a terminal
EPILOG = """examples:
  akd predict speech.wav
  akd predict speech.wav --model results/akd/seed17/fold1/outer
  akd predict recordings/ more.mp3 --model student.onnx --csv > emotions.csv
  akd predict meeting.flac --model owner/name --timeline
  ffmpeg -i film.mp4 -f wav - | akd predict - --model student.onnx --json
exit code: 0 if every file was recognised, 1 if any was not (all others are), 130 after Ctrl-C"""


def run(
    paths: Annotated[list[str], Argument(metavar="FILE...", help="sound files, folders of them, or - for a pipe")],
    model: Model = None,
    revision: Revision = None,
    as_json: Annotated[bool, Option("--json", help="one JSON object a line")] = False,
    as_csv: Annotated[bool, Option("--csv", help="a row a file; with --timeline a row a span")] = False,
    timeline: Annotated[bool, Option("--timeline", help="also the emotions over time")] = False,
    backend: Backend = "auto",
    activity: Activity = "auto",
    jobs: Jobs = 1,
) -> int:
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one of them.")
    check_input(STDIN in paths, "a sound file: cat FILE | akd predict - --model SOURCE.")
    files, problems = _find(paths)
    recognizer = open_recognizer(model, revision, backend, activity)
    with suppress(AttributeError):  # file names that are not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
        sys.stderr.reconfigure(errors="backslashreplace")
    labels = recognizer.label_order
    if as_json:
        write = _write_json
    elif as_csv:
        write = _csv_writer(labels, timeline)
    else:
        widths = max(map(len, (*labels, "no speech"))), max(map(len, map(_name, files)), default=0)
        write = partial(_write_text, *widths)
    printed, failed = _recognize(files, recognizer, write, timeline, jobs)
    problems += failed
    stopped = printed + len(failed) < len(files)
    if stopped:
        print(f"stopped after {printed + len(failed)} of {len(files)} files.", file=sys.stderr)
    if problems:
        print(f"{len(problems)} could not be recognised, {printed} could:", file=sys.stderr)
        print("\n".join(f"  {problem}" for problem in problems), file=sys.stderr)
    return 130 if stopped else int(bool(problems))


def _recognize(files: list[str], recognizer, write, timeline: bool, jobs: int) -> tuple[int, list[str]]:
    """Recognise and print file after file, until the last or Ctrl-C: how many, and the problem of each other."""
    printed, problems, stopped = 0, [], threading.Event()
    single, terminal = len(files) == 1, sys.stderr.isatty()
    logged_s = time.monotonic()

    def log(text: str) -> None:
        nonlocal logged_s
        if time.monotonic() - logged_s >= LOG_S:
            logged_s = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def progress(seconds: float) -> None:
        if stopped.is_set():
            raise InterruptedError  # stops work on long files after Ctrl-C
        if single and not terminal:
            log(f"{seconds:.0f} s processed")

    def recognize(file: str):
        source, name = (sys.stdin.buffer, "standard input") if file == STDIN else (file, None)
        bar = True if single and terminal else progress
        try:
            return recognizer.recognize(source, timeline=timeline, progress=bar, name=name), None
        except (ValueError, OSError) as error:
            return None, str(error) if _name(file) in str(error) else f"{_name(file)}: {error}"

    with ThreadPoolExecutor(jobs) as pool:
        results = map(recognize, files) if single else pool.map(recognize, files)
        try:
            with _bar(results, len(files)) if terminal and not single else nullcontext(results) as results:
                for file, (result, problem) in zip(files, results):
                    if not terminal:
                        log(f"{printed + len(problems) + 1} of {len(files)} files")
                    if result is None:
                        problems.append(problem)
                        continue
                    write(_name(file), result, timeline)
                    sys.stdout.flush()
                    printed += 1
        except KeyboardInterrupt:
            pass
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
    return printed, problems


@contextmanager
def _bar(results, total: int):
    """A progress bar on standard error, above which lines of standard output stay readable."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = *Progress.get_default_columns(), MofNCompleteColumn()
    console = Console(stderr=True, soft_wrap=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        yield bar.track(results, total=total, description="")


def _find(given: list[str]) -> tuple[list[str], list[str]]:
    """All files, those of folders by name; and the problem of every folder without one."""
    files, problems = [], []
    for path in given:
        if path == STDIN or not Path(path).is_dir():
            files.append(path)
            continue
        from akd_toolkit.data.sounds import find_sounds

        try:
            files += map(str, find_sounds(path, "folder", "give the folder of the recordings, or files by name"))
        except (ValueError, OSError) as error:
            problems.append(str(error))
    return files, problems


def _name(file: str) -> str:
    return "standard input" if file == STDIN else file


def _write_json(name: str, result, timeline: bool) -> None:
    row = {"file": name, **result.as_dict()}
    print(json.dumps({key: value for key, value in row.items() if timeline or key != "timeline"}))


def _csv_writer(labels: tuple[str, ...], timeline: bool):
    """Prints the header; returns a function that writes a row for a file, or one for each span of its timeline."""
    out = SimpleNamespace(write=lambda text: sys.stdout.write(text))  # a bar replaces sys.stdout meanwhile
    writer = csv.writer(out, lineterminator="\n")
    of_file = ["label", "duration_s", *(f"p_{label}" for label in labels), "speech", "speech_s", "activity"]
    writer.writerow(["file", *(["start_s", "end_s", "label", "probability", "speech"] if timeline else of_file)])

    def write(name: str, result, timeline: bool) -> None:
        if timeline:
            writer.writerows([name, *vars(span).values()] for span in result.timeline)
            return
        probs = [result.probabilities.get(label) for label in labels]  # empty cells if there is no speech
        about = [result.speech, result.speech_s, result.activity]
        writer.writerow([name, result.label, result.duration_s, *probs, *about])

    return write


def _write_text(label_width: int, name_width: int, name: str, result, timeline: bool) -> None:
    """Aligned columns."""

    def decision(result) -> str:
        share = "" if result.probability is None else f"{result.probability:.0%}"
        return f"{result.label:<{label_width}}  {share:>4}"

    print(f"{name:<{name_width}}  {decision(result)}  {result.duration_s:8.2f} s  {result.speech_s:8.2f} s speech")
    for span in result.timeline if timeline else ():
        print(f"  {span.start_s:8.2f} - {span.end_s:8.2f} s  {decision(span)}".rstrip())
