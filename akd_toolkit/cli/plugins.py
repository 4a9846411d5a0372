"""``akd plugins``: what is installed."""

import akd_toolkit.augment
import akd_toolkit.gates
import akd_toolkit.losses
import akd_toolkit.schedules
import akd_toolkit.students
import akd_toolkit.teachers
import akd_toolkit.weightings  # noqa: F401  (importing the rooms registers their plugins)
from akd_toolkit.registry import AUGMENTATIONS, GATES, LOSSES, SCHEDULES, STUDENTS, TEACHERS, WEIGHTINGS

KINDS = {
    **{"losses": LOSSES, "gates": GATES, "weightings": WEIGHTINGS, "schedules": SCHEDULES},
    **{"teachers": TEACHERS, "students": STUDENTS, "augmentations": AUGMENTATIONS},
}


def add_parser(commands) -> None:
    parser = commands.add_parser("plugins", help="list every registered plugin, a line each")
    parser.add_argument("kind", nargs="?", choices=list(KINDS), help="only this kind")
    parser.add_argument("--markdown", action="store_true", help="as the table of a README")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    print(plugin_markdown() if arguments.markdown else plugin_table(arguments.kind))
    return 0


def plugin_table(kind: str | None = None) -> str:
    """Every plugin's name and first docstring line, by kind."""
    sections = []
    for title, registry in KINDS.items():
        if kind in (None, title):
            rows = registry.table()
            width = max(len(name) for name, _ in rows)
            sections.append(f"{title} ({len(rows)})\n" + "\n".join(f"  {name:<{width}}  {line}" for name, line in rows))
    return "\n\n".join(sections)


def plugin_markdown() -> str:
    """The same as one Markdown table."""
    rows = [(title, name, line) for title, registry in KINDS.items() for name, line in registry.table()]
    return "\n".join(["| kind | name | what it is |", "|---|---|---|", *(f"| {k} | `{n}` | {w} |" for k, n, w in rows)])
