"""What the commands share: parsing, printing, and common options."""

import sys
from typing import Annotated, Literal

import typer
from typer.core import TyperCommand

from akd_toolkit.mistakes import exit_code

Model = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="folder of a run or bundle, .onnx file, or owner/name; else the included one"),
]
Revision = Annotated[str | None, typer.Option(metavar="NAME", help="of a model on the hub: branch, tag or commit")]
Backend = Annotated[Literal["auto", "torch", "onnx"], typer.Option(help="what runs the student")]
Activity = Annotated[
    Literal["auto", "silero", "energy", "off"],
    typer.Option(help="speech detector; auto: silero"),
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, help="how many are computed at the same time")]


class Command(TyperCommand):
    """A command of ``akd``: a user's mistake is one sentence, and a list option takes several words.

    ``--threads 1 all`` is rewritten to typer's own form ``--threads 1 --threads all``.
    """

    def parse_args(self, ctx, args):
        lists = {option for param in self.params if getattr(param, "multiple", False) for option in param.opts}
        words, option = [], None
        for word in args:
            if word.startswith("-"):
                option = word if word in lists else None
            elif option and words[-1] != option:
                words.append(option)
            words.append(word)
        return super().parse_args(ctx, words)

    def invoke(self, ctx):
        return exit_code(lambda: super(Command, self).invoke(ctx))


def show(markdown: str) -> None:
    """Print Markdown, with its tables drawn by rich on a terminal, and as plain lines in a pipe or file."""
    if not sys.stdout.isatty():
        print(markdown)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown))


def check_input(piped: bool, advice: str) -> None:
    """Refuse a call that would wait for audio from the keyboard."""
    if piped and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError(f"nothing is piped in; send {advice}")


def open_recognizer(model: str | None, revision: str | None, backend: str, activity: str):
    """The recogniser of a trained student (None: the one in this package), on one thread: more do not speed it up."""
    from akd_toolkit.inference import EmotionRecognizer

    recognizer = EmotionRecognizer.from_pretrained(model, revision, backend=backend, activity=activity)
    if recognizer.engine.backend == "torch":
        import torch

        torch.set_num_threads(1)
    return recognizer
