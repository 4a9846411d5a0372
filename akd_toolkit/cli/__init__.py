"""The command ``akd``."""

import importlib
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from akd_toolkit import __version__
from akd_toolkit.cli.command import Command
from akd_toolkit.mistakes import sentence_for

COMMANDS = {  # one module each; only the called one is imported
    "plugins": "list the registered plugins",
    "runs": "planned, running and finished trainings of an experiment",
    "audit": "check a split for leaks",
    "report": "tables and figures from the scores of finished experiments",
    "study": "re-evaluate finished experiments, without training",
    "new-recipe": "make a recipe for your own corpus",
    "compress": "prune and quantise a finished student",
    "export": "write a trained student as ONNX, TorchScript or TensorRT",
    "bench": "speed, size, memory and energy of a student on this machine",
    "predict": "the emotion of recordings, by a trained student",
    "listen": "emotions of live speech, from the microphone or a pipe",
    "demo": "a web page that recognises emotions in the browser",
    "release": "bundle a finished run, and upload it if wanted",
}


class Commands(TyperGroup):
    """All commands by name; a module is imported when its command is called or completed."""

    def __init__(self, **options):
        super().__init__(**options)
        self.commands = {name: Command(name, help=about) for name, about in COMMANDS.items()}

    def resolve_command(self, ctx, args):
        name, command, words = super().resolve_command(ctx, args)
        return name, command and load(name), words


def load(name: str):
    """The command of this name, made from the signature of its module's ``run``, or its module's ``app``."""
    module = importlib.import_module(f"akd_toolkit.cli.{name.replace('-', '_')}")
    if not hasattr(module, "app"):
        module.app = typer.Typer(add_completion=False, rich_markup_mode=None)
        epilog = f"\b\n{module.EPILOG}" if hasattr(module, "EPILOG") else None
        module.app.command(name, cls=Command, help=COMMANDS[name], epilog=epilog)(module.run)
    return get_command(module.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


settings = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings=settings)


@app.callback()
def akd(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="show it")] = False,
) -> None:
    """Adaptive knowledge distillation for speech emotion."""


def main(argv: list[str] | None = None) -> int:
    """Run ``akd`` with ``argv`` (the command line if None) and return the exit code.

    0 for success, 1 for a user's mistake (one sentence names it) or a finding such as a leak, 2 for a command line that
    cannot be parsed, 130 after Ctrl-C.
    """
    try:
        return get_command(app).main(argv, "akd", standalone_mode=False) or 0
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        words = [word for word in (sys.argv[1:] if argv is None else argv)[:1] if not word.startswith("-")]
        command = error.ctx.command_path if error.ctx else " ".join(["akd", *words])
        print(f"error: {message}; see {command} --help.", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:  # of a command's module; those of a running command are printed by Command
        if not (sentence := sentence_for(error)):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 1
