"""``akd plugins``: what is installed."""

import importlib
from typing import Annotated, Literal

from typer import Argument, Option

from akd_toolkit.cli.command import show

KINDS = ("losses", "gates", "weightings", "schedules", "teachers", "students", "augmentations")
SUBPACKAGES = ("distill", "teachers", "models", "data.augment")  # register plugins when they are imported


def run(
    kind: Annotated[Literal[KINDS] | None, Argument(help="only this kind")] = None,
    markdown: Annotated[bool, Option("--markdown", help="as Markdown on a terminal too")] = False,
) -> None:
    (print if markdown else show)(plugin_markdown(kind))


def registries() -> dict:
    """Kind -> its registry, with every plugin of the toolkit."""
    for subpackage in SUBPACKAGES:
        importlib.import_module(f"akd_toolkit.{subpackage}")
    registry = importlib.import_module("akd_toolkit.registry")
    return {kind: getattr(registry, kind.upper()) for kind in KINDS}


def plugin_markdown(kind: str | None = None) -> str:
    """Kind, name and first docstring line of every plugin, or of one kind, as a Markdown table."""
    rows = [(of_kind, *row) for of_kind, registry in registries().items() for row in registry.table()]
    lines = [f"| {of_kind} | `{name}` | {line} |" for of_kind, name, line in rows if kind in (None, of_kind)]
    return "\n".join(["| kind | name | what it is |", "|---|---|---|", *lines])
