"""``akd listen``: emotions of live speech, from the microphone or a pipe."""

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.cli.command import Activity, Backend, Model, Revision, check_input, open_recognizer

FORMATS = ("s16le", "s32le", "f32le")  # those of recognizer.live, whose import takes its time
BAR = 20  # characters
LEAST_S = 0.1  # what a pipe must hold, as a file must
EPILOG = """examples:
  akd listen --model student.onnx
  ffmpeg -i talk.mp3 -f s16le -ar 16000 -ac 1 - | akd listen - --model student.onnx
  arecord -f S16_LE -r 48000 | akd listen - --model owner/name --json
exit code: 0 at the end of the pipe, 1 for a mistake (one sentence says which), 130 after Ctrl-C"""


def run(
    source: Annotated[str | None, Argument(metavar="-", help="standard input; without it the microphone")] = None,
    model: Model = None,
    revision: Revision = None,
    backend: Backend = "auto",
    activity: Activity = "auto",
    rate: Annotated[int, Option(metavar="HZ", help="of raw samples on the pipe; a WAV knows")] = 16000,
    format: Annotated[Literal[FORMATS], Option(help="of raw samples on the pipe; a WAV knows")] = "s16le",
    hop_s: Annotated[
        float | None, Option("--hop_s", metavar="S", help="seconds between two answers; without it 1")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="one JSON object for every hop")] = False,
    device: Annotated[str | None, Option(metavar="NAME", help="microphone: number or part of the name")] = None,
    list_devices: Annotated[bool, Option("--list-devices", help="show the sound devices and end")] = False,
) -> int:
    if list_devices:
        from akd_toolkit.inference.live import sound_library

        print(sound_library().query_devices())
        return 0
    if source not in (None, "-"):
        raise ValueError(
            f"listen takes - or the microphone, got '{source}'; for files: akd predict {source} --timeline."
        )
    check_input(model, source == "-", "sound: ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | akd listen - ...")
    recognizer = open_recognizer(model, revision, backend, activity)
    stream = recognizer.stream(**({} if hop_s is None else {"hop_s": hop_s}))
    sound = _sound(source, rate, format, device, stream.engine.sample_rate_hz)
    return _listen(sound, stream, _as_json if as_json else Lines(bar=sys.stdout.isatty()))


def _listen(sound, stream, told) -> int:
    """Answer until the sound ends or Ctrl-C; what was heard until then is told."""
    code = 0
    try:
        with sound as pieces:
            for piece in pieces:
                _print(told, stream.push(piece))
    except KeyboardInterrupt:
        code = 130
    _print(told, stream.finish())
    return code


@contextmanager
def _sound(source: str | None, own_hz: int, format: str, device: str | None, rate_hz: int):
    """Pieces of what is heard, at the student's rate; what was lost of it is told at the end."""
    from akd_toolkit.inference.live import open_microphone, pipe_sound, resampled

    if source == "-":
        own_hz, pieces = pipe_sound(sys.stdin.buffer, own_hz, format, _say, LEAST_S)
        yield resampled(pieces, own_hz, rate_hz)
        return
    device = int(device) if device and device.isdecimal() else device or None
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
    told = {**asdict(moment), "label": _label(moment), "probability": moment.probability}
    return json.dumps(told, ensure_ascii=False)


def _label(moment) -> str | None:
    """The emotion, ``no speech``, or None where speech has no answer yet."""
    return moment.label if moment.speaking else "no speech"


class Lines:
    """A line where the decision has changed, None where it has not; speech without an answer yet changes nothing."""

    def __init__(self, bar: bool):
        self._bar = bar
        self._last = "no speech"

    def __call__(self, moment) -> str | None:
        label = _label(moment)
        if label in (None, self._last):
            return None
        self._last = label
        minutes, seconds = divmod(round(moment.time_s, 1), 60)
        line = f"{int(minutes):02d}:{seconds:04.1f}  {label}"
        if moment.label is None:
            return line
        share = f"{moment.probability:.2f}"
        bar = f"{'#' * round(BAR * moment.probability):<{BAR}}  " if self._bar else ""
        return f"{line:<24}  {bar}{share}"
