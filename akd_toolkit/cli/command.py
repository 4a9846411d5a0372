"""What the commands share: how their words are read, how they end, and options of several."""

import sys
from typing import Annotated, Literal

import typer
from typer.core import TyperCommand

from akd_toolkit.mistakes import exit_code

Model = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="folder of a run or bundle, .onnx file, or owner/name on the hub"),
]
Revision = Annotated[
    str | None, typer.Option(metavar="NAME", help="version of a model on the hub: branch, tag or commit")
]
Backend = Annotated[Literal["auto", "torch", "onnx"], typer.Option(help="what runs the student")]
Activity = Annotated[
    Literal["auto", "silero", "energy", "off"],
    typer.Option(help="what detects speech; auto: silero, where it is installed"),
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, help="how many are computed side by side")]


class Command(TyperCommand):
    """A command of ``akd``: a list option takes all words up to the next option, a mistake is one sentence."""

    def parse_args(self, ctx, args):
        lists = {option for param in self.params if getattr(param, "multiple", False) for option in param.opts}
        return super().parse_args(ctx, repeated(args, lists))

    def invoke(self, ctx):
        return exit_code(lambda: super(Command, self).invoke(ctx))


def repeated(words: list[str], lists: set[str]) -> list[str]:
    """The words with each list option before every one of its values, as typer reads them.

    Example
    -------
    >>> repeated(["student.onnx", "--threads", "1", "all", "--to", "bench"], {"--threads"})
    ['student.onnx', '--threads', '1', '--threads', 'all', '--to', 'bench']
    """
    out, option = [], None
    for word in words:
        if word.startswith("-"):
            option = word if word in lists else None
        elif option and out[-1] != option:
            out.append(option)
        out.append(word)
    return out


def check_input(model: str | None, piped: bool, cure: str) -> None:
    """Refuse a call without a model, or one that would wait for somebody to type sound."""
    if model is None:
        raise ValueError(
            "give --model: the folder of a finished run, an exported .onnx file, or owner/name on the hub."
        )
    if piped and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError(f"nothing is piped in; send {cure}")


def open_recognizer(model: str, revision: str | None, backend: str, activity: str):
    """The recogniser of a trained student, on one thread: a small student gains nothing from more."""
    from akd_toolkit.inference import EmotionRecognizer  # here, because it takes its time

    recognizer = EmotionRecognizer.from_pretrained(model, revision, backend=backend, activity=activity)
    if recognizer.engine.backend == "torch":
        import torch

        torch.set_num_threads(1)
    return recognizer
