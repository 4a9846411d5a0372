"""Write the tables of docs/settings.md from the declaration of the settings: python tools/settings_page.py"""

import json
from collections.abc import Iterator
from pathlib import Path

from akd_toolkit.declared import target
from akd_toolkit.experiment.settings import Protocol, Start, Training

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
MARKS = "<!-- settings -->", "<!-- /settings -->"
NOUNS = {
    **{"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"},
    **{"array": "a list", "object": "a mapping", "null": "null"},
}
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "to below"}


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


def words(node: dict, schema: dict, many: bool = False) -> str:
    """What a node of a JSON schema allows, such as ``a list of at least 2 whole numbers from 1``."""
    if "words" in node:
        return node["words"]
    if "anyOf" in node:
        return " or ".join(words(option, schema, many) for option in node["anyOf"])
    node = target(node, schema)
    if "enum" in node:
        *most, last = map(str, node["enum"])
        return f"{', '.join(most)} or {last}" if most else last
    kind = node.get("type")
    noun = NOUNS.get(kind, "any value")
    noun = noun.removeprefix("a ") + "s" if many else noun
    if kind == "array":
        count = node.get("minItems", 0)
        least = f"at least {count} " if count > 1 else "one or more " * count
        return f"{noun} of {least}{words(node['items'], schema, many=True)}"
    if "properties" in node:
        keys = [*node["properties"], *["its options"] * bool(node.get("additionalProperties"))]
        return f"{noun} {{{', '.join(keys)}}}"
    return " ".join([noun, *(f"{text} {node[key]}" for key, text in LIMITS.items() if key in node)])


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
