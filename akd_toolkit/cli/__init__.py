"""The command ``akd``."""

import importlib
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from akd_toolkit import __version__
from akd_toolkit.cli.command import Command

COMMANDS = {  # each a module of this room; only the called one is imported
    "plugins": "list every registered plugin, a line each",
    "runs": "planned, running and finished trainings of an experiment",
    "audit": "prove that a split leaks nothing, or name what leaks",
    "report": "tables and figures from the scores of finished experiments",
    "study": "re-evaluate finished experiments, without training",
    "new-recipe": "make a recipe for your own corpus",
    "compress": "prune and quantise a finished student",
    "export": "write a trained student as ONNX, TorchScript or TensorRT",
    "bench": "speed, size, memory and energy of a student on this machine",
    "predict": "the emotion of recordings, by a trained student",
    "listen": "emotions of live speech, from the microphone or a pipe",
    "release": "bundle a finished run, and upload it on demand",
}


class Commands(TyperGroup):
    """The commands by name; a module is imported when its command is called, or a word after it completed."""

    def __init__(self, **options):
        super().__init__(**options)
        self.commands = {name: Command(name, help=about) for name, about in COMMANDS.items()}

    def resolve_command(self, ctx, args):
        name, command, words = super().resolve_command(ctx, args)
        return name, command and load(name), words


def load(name: str):
    """The command of this name, made from its module's ``app``, or from the signature of its ``run``."""
    module = importlib.import_module(f"akd_toolkit.cli.{name.replace('-', '_')}")
    if not hasattr(module, "app"):
        module.app = typer.Typer(add_completion=False, rich_markup_mode=None)
        epilog = f"\b\n{module.EPILOG}" if hasattr(module, "EPILOG") else None
        module.app.command(name, cls=Command, help=COMMANDS[name], epilog=epilog)(module.run)
    return get_command(module.app)


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def akd(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="show it")] = False,
) -> None:
    """Adaptive knowledge distillation for speech emotion."""


def main(argv: list[str] | None = None) -> int:
    """Run ``akd`` with ``argv`` (the command line if None) and return the exit code.

    0 when all is well, 1 for a mistake of the user's (one sentence says which) or a finding such as a leak, 2 for a
    command line that cannot be read, 130 when stopped by Ctrl-C.
    """
    try:
        return get_command(app).main(argv, "akd", standalone_mode=False) or 0
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        print(f"error: {message}; see {error.ctx.command_path if error.ctx else 'akd'} --help.", file=sys.stderr)
        return error.exit_code
