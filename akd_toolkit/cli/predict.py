"""``akd predict``: the emotion of every file, told as soon as it is known."""

import csv
import io
import json
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from akd_toolkit.cli.command import Activity, Backend, Jobs, Model, Revision, check_input, open_recognizer

STDIN = "-"
LOG_S = 10  # between two lines of progress where standard error is no terminal
EPILOG = """examples:
  akd predict speech.wav --model results/akd/seed17/fold1/outer
  akd predict recordings/ more.mp3 --model student.onnx --csv > emotions.csv
  akd predict meeting.flac --model owner/name --timeline
  ffmpeg -i film.mp4 -f wav - | akd predict - --model student.onnx --json
exit code: 0 when every file was answered, 1 when any was not (all others are), 130 after Ctrl-C"""


def run(
    paths: Annotated[
        list[str],
        Argument(metavar="FILE...", help=f"sound files, folders of them, or {STDIN} for one on standard input"),
    ],
    model: Model = None,
    revision: Revision = None,
    as_json: Annotated[bool, Option("--json", help="one JSON object a line")] = False,
    as_csv: Annotated[bool, Option("--csv", help="a row a file; with --timeline a row a span")] = False,
    timeline: Annotated[bool, Option("--timeline", help="also who feels what from when to when")] = False,
    backend: Backend = "auto",
    activity: Activity = "auto",
    jobs: Jobs = 1,
) -> int:
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one of them.")
    check_input(model, STDIN in paths, "a sound file: cat FILE | akd predict - --model SOURCE.")
    files, problems = _found(paths)
    recognizer = open_recognizer(model, revision, backend, activity)
    with suppress(AttributeError):  # a name that is no UTF-8 must not end the list
        sys.stdout.reconfigure(errors="backslashreplace")
        sys.stderr.reconfigure(errors="backslashreplace")
    form = _form(as_json, as_csv, timeline, files, recognizer.label_order)
    told, failed = _answer(files, recognizer, form, jobs)
    problems += failed
    if told + len(failed) < len(files):
        print(f"stopped after {told + len(failed)} of {len(files)} files.", file=sys.stderr)
    if problems:
        print(f"{len(problems)} could not be answered, {told} could:", file=sys.stderr)
        print("\n".join(f"  {problem}" for problem in problems), file=sys.stderr)
    return 130 if told + len(failed) < len(files) else int(bool(problems))


def _answer(files: list[str], recognizer, form, jobs: int) -> tuple[int, list[str]]:
    """Answer and print file after file, until the last or Ctrl-C: how many, and a sentence for each that failed."""
    from concurrent.futures import ThreadPoolExecutor

    one = len(files) == 1  # whose own seconds are shown instead
    bar = sys.stderr.isatty()
    write = print
    log = (lambda _text: None) if bar else _Log()
    told, problems = 0, []
    stopped = threading.Event()
    seconds = bar or (lambda heard_s: log(f"{heard_s:.0f} s heard"))

    def asked(file: str):
        return _asked(recognizer, file, form.timeline, seconds if one else partial(_go_on, stopped))

    for line in form.begin():
        print(line)
    with ThreadPoolExecutor(jobs) as pool:
        asking = map(asked, files) if one else pool.map(asked, files)
        if bar and not one:
            from tqdm import tqdm  # here, because without a bar its import would be a tenth of the start

            asking = tqdm(asking, total=len(files), unit="file", leave=False)
            write = partial(tqdm.write, file=sys.stdout)
        try:
            for file, (answer, problem) in zip(files, asking):
                log(f"{told + len(problems) + 1} of {len(files)} files")
                if answer is None:
                    problems.append(problem)
                    continue
                for line in form.tell(_name(file), answer):
                    write(line)
                sys.stdout.flush()
                told += 1
        except KeyboardInterrupt:
            pass
        finally:
            if write is not print:
                asking.close()
            stopped.set()
            pool.shutdown(cancel_futures=True)
    return told, problems


class _Log:
    """A plain line now and then, where a bar would fill a file with its pictures."""

    def __init__(self):
        self._told_s = time.monotonic()

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._told_s >= LOG_S:
            self._told_s = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def _asked(recognizer, file: str, timeline: bool, progress):
    """(Recognition, None) or (None, the sentence that says why not)."""
    x, name = (sys.stdin.buffer, "standard input") if file == STDIN else (file, None)
    try:
        return recognizer.recognize(x, timeline=timeline, progress=progress, name=name), None
    except (ValueError, OSError) as error:
        problem = str(error)
        return None, problem if _name(file) in problem else f"{_name(file)}: {problem}"


def _go_on(stopped: threading.Event, _seconds: float) -> None:
    """Long sounds are left where they are when nobody waits for them any more."""
    if stopped.is_set():
        raise InterruptedError("stopped")


def _found(given: list[str]) -> tuple[list[str], list[str]]:
    """The files, those of folders by name; and a sentence for every folder without one."""
    files, problems = [], []
    for path in given:
        if path != STDIN and Path(path).is_dir():
            from akd_toolkit.data.sounds import find_sounds  # here, because it takes its time

            try:
                files += map(str, find_sounds(path, "folder", "give the folder of the recordings, or files by name"))
            except (ValueError, OSError) as error:
                problems.append(str(error))
        else:
            files.append(path)
    return files, problems


def _name(file: str) -> str:
    return "standard input" if file == STDIN else file


def _form(as_json: bool, as_csv: bool, timeline: bool, files: list[str], labels: tuple[str, ...]):
    if as_json:
        return _Json(timeline)
    if as_csv:
        return _Csv(timeline, labels)
    return _Table(timeline, labels, max((len(_name(file)) for file in files), default=0))


@dataclass
class _Json:
    """One object a line."""

    timeline: bool

    def begin(self) -> list[str]:
        return []

    def tell(self, file: str, answer) -> list[str]:
        told = {"file": file, **answer.as_dict()}
        if not self.timeline:
            del told["timeline"]
        return [json.dumps(told)]


@dataclass
class _Csv:
    """A row a file, or a row a span of its timeline."""

    timeline: bool
    labels: tuple[str, ...]

    def begin(self) -> list[str]:
        if self.timeline:
            return [_row(["file", "start_s", "end_s", "label", "probability", "speech"])]
        columns = (f"p_{label}" for label in self.labels)
        return [_row(["file", "label", "duration_s", *columns, "speech", "speech_s", "activity"])]

    def tell(self, file: str, answer) -> list[str]:
        if self.timeline:
            return [_row([file, *vars(span).values()]) for span in answer.timeline]
        cells = (answer.probabilities.get(label) for label in self.labels)  # an empty cell is one without speech
        return [_row([file, answer.label, answer.duration_s, *cells, answer.speech, answer.speech_s, answer.activity])]


@dataclass
class _Table:
    """Columns for people."""

    timeline: bool
    labels: tuple[str, ...]
    width: int  # of the longest name

    def begin(self) -> list[str]:
        return []

    def tell(self, file: str, answer) -> list[str]:
        seconds = f"{answer.duration_s:8.2f} s  {answer.speech_s:8.2f} s speech"
        first = f"{file:<{self.width}}  {self._decision(answer)}  {seconds}"
        spans = answer.timeline if self.timeline else ()
        return [first, *(f"  {s.start_s:8.2f} - {s.end_s:8.2f} s  {self._decision(s)}".rstrip() for s in spans)]

    def _decision(self, answer) -> str:
        share = "" if answer.probability is None else f"{answer.probability:.0%}"
        return f"{answer.label:<{max(map(len, (*self.labels, 'no speech')))}}  {share:>4}"


def _row(cells: list) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
