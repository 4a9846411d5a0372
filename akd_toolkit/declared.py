"""Declared settings: pydantic models, whose errors come out as one plain sentence each that names the dotted key.

A section of a YAML is a ``Section`` with a field for each key, a plugin with its options is a ``Plugin``. Types,
ranges, defaults, messages and the tables of docs/settings.md come from these fields.
"""

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

SHOWN = 90  # characters of a wrong value in a message
NOUNS = {
    **{"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"},
    **{"array": "a list", "object": "a mapping", "null": "null"},
}
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "to below"}


class Section(BaseModel):
    """A mapping with known keys; nothing is converted, so that ``"0.1"`` is not a number and 1 is not true."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    @model_validator(mode="after")
    def _fits_together(self) -> "Section":
        found = list(self.problems())
        if found:
            raise ValueError(*found)
        return self

    def problems(self) -> Iterable[str]:
        """What is wrong with several keys together, a sentence each; asked when each key alone is right."""
        return ()


class Plugin(Section, extra="allow"):
    """``{name: registered plugin, its options}``, the options checked against the plugin's signature."""

    registry: ClassVar
    filled_in: ClassVar[tuple[str, ...]] = ()  # arguments that the toolkit gives when it builds the plugin
    stand_ins: ClassVar[dict | None] = None  # values for these, to build the plugin on trial; None: it is not built

    name: str = ""

    @property
    def options(self) -> dict:
        """The plugin's own arguments."""
        return dict(self.model_extra)

    @property
    def plugin(self) -> type:
        """The registered class."""
        return self.registry.get(self.name)

    def problems(self) -> Iterator[str]:
        """A plugin reports one problem at a time."""
        if not self.name:
            yield f"'name' is missing; known {self.registry.kind}s: {', '.join(self.registry.names())}"
            return
        try:
            self.registry.check(self.name, self.options, self.filled_in)
            for key in set(self.filled_in) & set(self.options):
                raise ValueError(f"{self.registry.kind} '{self.name}': the toolkit fills in '{key}'; take it out")
            self.try_out()
        except (ValueError, OSError) as error:
            fields = type(self).model_fields  # such as the weight of a loss, which its signature does not have
            near = [near for key in self.options for near in difflib.get_close_matches(key, fields, n=1)]
            yield "".join([str(error).rstrip("."), *(f". Did you mean '{name}'?" for name in near[:1])])

    def try_out(self) -> None:
        """Build the plugin, if it asks for nothing that is known later only."""
        asked = set(self.filled_in) & set(inspect.signature(self.plugin).parameters)
        if self.stand_ins is None or asked - set(self.stand_ins):
            return
        for options in self.trials():
            try:
                self.registry.build(self.name, **options, **{key: self.stand_ins[key] for key in asked})
            except Exception as error:  # layers raise many kinds for a wrong size
                if not options and not isinstance(error, ValueError):
                    raise
                reason = str(error).partition("\n")[0]
                raise ValueError(f"{self.registry.kind} '{self.name}' with {self.options}: {reason}") from None

    def trials(self) -> list[dict]:
        """Options with which the plugin must be possible to build."""
        return [self.options]


def checked(model: type[Section], given, where: str = "") -> Section:
    """The section that ``given`` describes; else ValueError, naming every problem below ``where``.

    Example
    -------
    >>> class Mixing(Section):
    ...     alpha: float = 0.2
    >>> checked(Mixing, {"alfa": "1"}, "mixup")
    Traceback (most recent call last):
    ValueError: unknown setting 'mixup.alfa'; did you mean 'alpha'?
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ValueError("; ".join(sentences(error, model, given, where))) from None


def sentences(error: ValidationError, model: type[Section], given, where: str = "", known=()) -> list[str]:
    """Every problem of ``given`` in plain words; ``known`` are more names that an unknown key may have meant."""
    schema = model.model_json_schema()
    return [text for entry in error.errors() for text in _sentences(entry, given, schema, where, known)]


def nearest(key: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name."""
    near = difflib.get_close_matches(str(key), list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(set(known)))}"


def words(node: dict, schema: dict, many: bool = False) -> str:
    """What a node of a JSON schema allows.

    Example
    -------
    >>> words({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 1}}, {})
    'a list of at least 2 whole numbers from 1'
    """
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


def _sentences(entry: dict, given, schema: dict, where: str, known: Iterable[str]) -> list[str]:
    """One error of pydantic in plain words."""
    path, node, parent = _follow(entry["loc"], given, schema)
    key, kind = ".".join([where] * bool(where) + path), entry["type"]
    if kind == "value_error":
        return [f"{key}: {text}" if key else str(text) for text in entry["ctx"]["error"].args]
    if kind == "extra_forbidden":
        names = [*parent.get("properties", {}), *(known if len(path) == 1 else ())]
        return [f"unknown setting '{key}'; {nearest(path[-1], names)}"]
    allowed = words(node, schema)
    about = f" ({node['description']})" if "description" in node and path else ""
    if kind == "missing":
        return [f"setting '{key}' is missing; it must be {allowed}{about}"]
    shown = json.dumps(entry["input"], ensure_ascii=False, default=str)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} ..."
    return [f"{key or 'the settings'}: got {shown}; it must be {allowed}{about}"]


def _follow(loc: tuple, given, schema: dict) -> tuple[list[str], dict, dict]:
    """Keys of an error's place as they were given, what the schema allows there, and what it allows above."""
    path, node, parent = [], schema, {}
    for part in loc:
        parent = target(node, schema)
        inside = parent.get("properties", {}).get(part, parent.get("items", parent.get("additionalProperties")))
        node = inside if isinstance(inside, dict) else {}
        if isinstance(part, str) or isinstance(given, list):  # one item may stand for a list of one
            path.append(str(part))
            given = given[part] if isinstance(given, list) else given.get(part) if isinstance(given, dict) else None
    return path, node, parent


def target(node: dict, schema: dict) -> dict:
    """The node that a reference, or a choice between something and null, leads to."""
    if "anyOf" in node:
        node = next(option for option in node["anyOf"] if option.get("type") != "null")
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
