"""Write the tables of docs/settings.md from the declaration of the settings: python tools/settings_page.py"""

import json
from collections.abc import Iterator
from pathlib import Path

from akd_toolkit.declared import target, words
from akd_toolkit.experiment.settings import Protocol, Start, Training

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
MARKS = "<!-- settings -->", "<!-- /settings -->"


def tables() -> str:
    """A heading, a sentence and a table for each class of settings."""
    return "\n\n".join(_table(section.__name__, section.model_json_schema()) for section in (Protocol, Training, Start))


def page() -> str:
    """The page with fresh tables between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    return f"{before}{MARKS[0]}\n{tables()}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


def _table(name: str, schema: dict) -> str:
    head = ["| setting | may be | default | what it is |", "|---|---|---|---|"]
    return "\n".join([f"## {name}", "", schema["description"], "", *head, *_rows(schema, schema)])


def _rows(node: dict, schema: dict, prefix: str = "") -> Iterator[str]:
    """A row for each key of a section, and after it those of the section that it holds."""
    for key, child in node["properties"].items():
        if "description" in child:
            default = f"`{json.dumps(child['default'])}`" if "default" in child else "must be given"
            yield f"| `{prefix}{key}` | {words(child, schema)} | {default} | {child['description']} |"
            held = target(child, schema)
            items = target(held.get("items", {}), schema)
            below = f"{prefix}{key}." + "N." * bool(items)
            yield from _rows({"properties": {}, **held, **items}, schema, below)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
