"""``akd plugins``: what is installed."""

import importlib
from typing import Annotated, Literal

from typer import Argument, Option

KINDS = ("losses", "gates", "weightings", "schedules", "teachers", "students", "augmentations")
ROOMS = ("distill", "teachers", "models", "data.augment")  # their plugins register


def run(
    kind: Annotated[Literal[KINDS] | None, Argument(help="only this kind")] = None,
    markdown: Annotated[bool, Option("--markdown", help="as the table of a README")] = False,
) -> None:
    print(plugin_markdown() if markdown else plugin_table(kind))


def registries() -> dict:
    """Kind -> registry of it, with every plugin of the toolkit."""
    for room in ROOMS:
        importlib.import_module(f"akd_toolkit.{room}")
    registry = importlib.import_module("akd_toolkit.registry")
    return {kind: getattr(registry, kind.upper()) for kind in KINDS}


def plugin_table(kind: str | None = None) -> str:
    """Every plugin's name and first docstring line, by kind."""
    sections = []
    for title, registry in registries().items():
        if kind in (None, title):
            rows = registry.table()
            width = max(len(name) for name, _ in rows)
            sections.append(f"{title} ({len(rows)})\n" + "\n".join(f"  {name:<{width}}  {line}" for name, line in rows))
    return "\n\n".join(sections)


def plugin_markdown() -> str:
    """The same as one Markdown table."""
    rows = [(title, name, line) for title, registry in registries().items() for name, line in registry.table()]
    return "\n".join(["| kind | name | what it is |", "|---|---|---|", *(f"| {k} | `{n}` | {w} |" for k, n, w in rows)])
