"""``akd listen``: emotions of live speech, from the microphone or a pipe."""

import argparse
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict

FORMATS = ("s16le", "s32le", "f32le")  # those of recognizer.live, whose import takes its time
BAR = 20  # characters
LEAST_S = 0.1  # what a pipe must hold, as a file must
EPILOG = """examples:
  akd listen --model student.onnx
  ffmpeg -i talk.mp3 -f s16le -ar 16000 -ac 1 - | akd listen - --model student.onnx
  arecord -f S16_LE -r 48000 | akd listen - --model owner/name --json
exit code: 0 at the end of the pipe, 1 for a mistake (one sentence says which), 130 after Ctrl-C"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "listen",
        help="emotions of live speech, from the microphone or a pipe",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="?", metavar="-", help="standard input; without it the microphone")
    parser.add_argument(
        "--model", metavar="SOURCE", help="folder of a run or bundle, .onnx file, or owner/name on the hub"
    )
    parser.add_argument("--revision", help="version of a model on the hub: branch, tag or commit")
    parser.add_argument("--backend", choices=("auto", "torch", "onnx"), default="auto", help="what runs the student")
    parser.add_argument("--rate", type=int, default=16000, metavar="HZ", help="of raw samples on the pipe; a WAV knows")
    parser.add_argument("--format", choices=FORMATS, default="s16le", help="of raw samples on the pipe; a WAV knows")
    parser.add_argument("--hop_s", type=float, metavar="S", help="seconds between two answers (default: 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object for every hop")
    parser.add_argument("--device", metavar="NAME", help="microphone: number or part of the name")
    parser.add_argument("--list-devices", action="store_true", help="show the sound devices and end")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    if arguments.list_devices:
        from akd_toolkit.recognizer.live import sound_library

        print(sound_library().query_devices())
        return 0
    if arguments.source not in (None, "-"):
        raise ValueError(
            f"listen takes - or the microphone, got '{arguments.source}'; for files: akd predict {arguments.source} "
            "--timeline."
        )
    if arguments.model is None:
        raise ValueError(
            "give --model: the folder of a finished run, an exported .onnx file, or owner/name on the hub."
        )
    if arguments.source == "-" and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError(
            "nothing is piped in; send sound: ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | akd listen - ..."
        )
    from akd_toolkit.recognizer import EmotionRecognizer  # here, because it takes its time

    recognizer = EmotionRecognizer.from_pretrained(arguments.model, arguments.revision, backend=arguments.backend)
    if recognizer.engine.backend == "torch":
        import torch

        torch.set_num_threads(1)  # a small student gains nothing from more
    stream = recognizer.stream(**({} if arguments.hop_s is None else {"hop_s": arguments.hop_s}))
    told = _as_json if arguments.json else Lines(bar=sys.stdout.isatty())
    try:
        return _listen(arguments, stream, told)
    except BrokenPipeError:  # whoever reads has read enough: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _listen(arguments, stream, told) -> int:
    """Answer until the sound ends or Ctrl-C; what was heard until then is told."""
    code = 0
    try:
        with _sound(arguments, stream.engine.sample_rate_hz) as pieces:
            for piece in pieces:
                _print(told, stream.push(piece))
    except KeyboardInterrupt:
        code = 130
    _print(told, stream.finish())
    return code


@contextmanager
def _sound(arguments, rate_hz: int):
    """Pieces of what is heard, at the student's rate; what was lost of it is told at the end."""
    from akd_toolkit.recognizer.live import open_microphone, pipe_sound, resampled

    if arguments.source == "-":
        own_hz, pieces = pipe_sound(sys.stdin.buffer, arguments.rate, arguments.format, _say, LEAST_S)
        yield resampled(pieces, own_hz, rate_hz)
        return
    device = arguments.device or None
    device = int(device) if device and device.isdecimal() else device
    with open_microphone(rate_hz, device) as (own_hz, microphone, pieces):
        _say(f"listening at {own_hz} Hz; Ctrl-C ends it.")
        try:
            yield resampled(pieces, own_hz, rate_hz)
        finally:
            if microphone.overruns:
                _say(f"sound was lost {microphone.overruns} times, as this machine was too busy to keep up.")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _print(told, moments) -> None:
    for moment in moments:
        if (line := told(moment)) is not None:
            print(line, flush=True)


def _as_json(moment) -> str:
    return json.dumps({**asdict(moment), "probability": moment.probability}, ensure_ascii=False)


class Lines:
    """A line where the decision has changed, None where it has not; someone not answered yet changes nothing."""

    def __init__(self, bar: bool):
        self._bar = bar
        self._last = "silence"

    def __call__(self, moment) -> str | None:
        if moment.speaking and moment.label is None:
            return None
        told, self._last, before = moment.label or "silence", moment.label or "silence", self._last
        if told == before:
            return None
        minutes, seconds = divmod(round(moment.time_s, 1), 60)
        line = f"{int(minutes):02d}:{seconds:04.1f}  {told}"
        if moment.label is None:
            return line
        share = f"{moment.probability:.2f}"
        bar = f"{'#' * round(BAR * moment.probability):<{BAR}}  " if self._bar else ""
        return f"{line:<24}  {bar}{share}"
