"""``akd listen``: emotions of live speech, from the microphone or a pipe."""

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.cli.command import Activity, Backend, Model, Revision, check_input, open_recognizer

FORMATS = ("s16le", "s32le", "f32le")  # those of inference.live, which loads slowly
BAR = 20  # characters
LEAST_S = 0.1  # of audio in a pipe
EPILOG = """examples:
  akd listen
  ffmpeg -i talk.mp3 -f s16le -ar 16000 -ac 1 - | akd listen - --model student.onnx
  arecord -f S16_LE -r 48000 | akd listen - --model owner/name --json
exit code: 0 at the end of the pipe, 1 for a mistake, 130 after Ctrl-C"""


def run(
    source: Annotated[str | None, Argument(metavar="-", help="standard input; without it the microphone")] = None,
    model: Model = None,
    revision: Revision = None,
    backend: Backend = "auto",
    activity: Activity = "auto",
    rate: Annotated[int, Option(metavar="HZ", help="of raw samples on the pipe; a WAV has its own")] = 16000,
    format: Annotated[Literal[FORMATS], Option(help="of raw samples on the pipe; a WAV has its own")] = "s16le",
    hop_s: Annotated[float | None, Option("--hop_s", metavar="S", help="seconds between predictions (1)")] = None,
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
    check_input(source == "-", "sound: ffmpeg -i FILE -f s16le -ar 16000 -ac 1 - | akd listen - ...")
    recognizer = open_recognizer(model, revision, backend, activity)
    stream = recognizer.stream(**({} if hop_s is None else {"hop_s": hop_s}))
    write, code = _write_json if as_json else text_writer(bar=sys.stdout.isatty()), 0
    try:
        with _pieces(source, rate, format, device, stream.engine.sample_rate_hz) as pieces:
            for piece in pieces:
                for moment in stream.push(piece):
                    write(moment)
    except KeyboardInterrupt:
        code = 130
    for moment in stream.finish():
        write(moment)
    return code


@contextmanager
def _pieces(source: str | None, own_hz: int, format: str, device: str | None, rate_hz: int):
    """Pieces of sound at the student's rate; losses are reported at the end."""
    from akd_toolkit.inference.live import open_microphone, pipe_sound
    from akd_toolkit.inference.sound import resampled

    if source == "-":
        own_hz, pieces = pipe_sound(sys.stdin.buffer, own_hz, format, _log, LEAST_S)
        yield resampled(pieces, own_hz, rate_hz)
        return
    device = int(device) if device and device.isdecimal() else device or None
    with open_microphone(rate_hz, device) as (own_hz, microphone, pieces):
        _log(f"listening at {own_hz} Hz; Ctrl-C ends it.")
        try:
            yield resampled(pieces, own_hz, rate_hz)
        finally:
            if microphone.overruns:
                _log(f"sound was lost {microphone.overruns} times, because this machine was too slow.")


def _log(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _label(moment) -> str | None:
    """The emotion, ``no speech``, or None for speech without a prediction yet."""
    return moment.label if moment.speaking else "no speech"


def _write_json(moment) -> None:
    row = {**asdict(moment), "label": _label(moment), "probability": moment.probability}
    print(json.dumps(row, ensure_ascii=False), flush=True)


def text_writer(bar: bool):
    """A function that prints a line whenever the decision changes."""
    last = "no speech"

    def write(moment) -> None:
        nonlocal last
        label = _label(moment)
        if label in (None, last):
            return
        last = label
        minutes, seconds = divmod(round(moment.time_s, 1), 60)
        line = f"{int(minutes):02d}:{seconds:04.1f}  {label}"
        if moment.label is not None:
            drawn = f"{'#' * round(BAR * moment.probability):<{BAR}}  " if bar else ""
            line = f"{line:<24}  {drawn}{moment.probability:.2f}"
        print(line, flush=True)

    return write
