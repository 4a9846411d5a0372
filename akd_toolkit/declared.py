"""Settings declared as pydantic models; each problem becomes one sentence that names the dotted key."""

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

SHOWN = 90  # characters of a wrong value in a message


class Section(BaseModel):
    """A mapping with known keys. Nothing is converted: ``"0.1"`` is not a number and 1 is not true."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    @model_validator(mode="after")
    def _check_together(self) -> "Section":
        if found := list(self.problems()):
            raise ValueError(*found)
        return self

    def problems(self) -> Iterable[str]:
        """Problems of several keys together; called when each key alone is right."""
        return ()


class Plugin(Section, extra="allow"):
    """``{name: registered plugin, **options}``; the options are checked against the plugin's signature."""

    registry: ClassVar
    filled_in: ClassVar[tuple[str, ...]] = ()  # arguments that the toolkit passes when it builds the plugin
    stand_ins: ClassVar[dict | None] = None  # values for these in a trial build; None: no trial build

    name: str = ""

    @property
    def options(self) -> dict:
        return dict(self.model_extra)

    @property
    def plugin(self) -> type:
        return self.registry.get(self.name)

    def problems(self) -> Iterator[str]:
        if not self.name:
            yield f"'name' is missing; known {self.registry.kind}s: {', '.join(self.registry.names())}"
            return
        try:
            self.registry.check(self.name, self.options, self.filled_in)
            for key in set(self.filled_in) & set(self.options):
                raise ValueError(f"{self.registry.kind} '{self.name}': the toolkit sets '{key}'; take it out")
            self.try_out()
        except (ValueError, OSError) as error:
            fields = type(self).model_fields  # such as the weight of a loss, which is not in its signature
            near = [near for key in self.options for near in difflib.get_close_matches(key, fields, n=1)]
            yield "".join([str(error).rstrip("."), *(f". Did you mean '{name}'?" for name in near[:1])])

    def try_out(self) -> None:
        """Build the plugin once, unless it needs values that are not known yet."""
        needed = set(self.filled_in) & set(inspect.signature(self.plugin).parameters)
        if self.stand_ins is None or needed - set(self.stand_ins):
            return
        for options in self.trials():
            try:
                self.registry.build(self.name, **options, **{key: self.stand_ins[key] for key in needed})
            except ImportError:
                raise
            except Exception as error:  # layers raise many types for a wrong size
                if not options and not isinstance(error, ValueError):
                    raise
                reason = str(error).partition("\n")[0]
                if isinstance(error, TypeError) and (text := [key for key in options if isinstance(options[key], str)]):
                    reason = f"'{text[0]}' is text ('{options[text[0]]}'), which it cannot use; give a number"
                raise ValueError(f"{self.registry.kind} '{self.name}' with {self.options}: {reason}") from None

    def trials(self) -> list[dict]:
        """Options of each trial build."""
        return [self.options]


def checked(model: type[Section], given, where: str = "") -> Section:
    """Validate ``given``; ValueError lists every problem, with keys below ``where``.

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
    """One sentence for each problem; ``known`` adds names that an unknown top-level key is compared with."""
    schema, found = model.model_json_schema(), []
    for entry in error.errors():
        path, node, parent = _follow(entry["loc"], given, schema)
        key, kind = ".".join([where] * bool(where) + path), entry["type"]
        about = f" ({node['description']})" if "description" in node and path else ""
        if kind == "value_error":
            found += [f"{key}: {text}" if key else str(text) for text in entry["ctx"]["error"].args]
        elif kind == "extra_forbidden":
            names = [*parent.get("properties", {}), *(known if len(path) == 1 else ())]
            found.append(f"unknown setting '{key}'; {nearest(path[-1], names)}")
        elif kind == "missing":
            found.append(f"setting '{key}' is missing{about}")
        else:
            shown = json.dumps(entry["input"], ensure_ascii=False, default=str)
            shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} ..."
            needed = "it must be a mapping" if kind in ("model_type", "dict_type") else entry["msg"]
            needed = needed.replace("Input should be", "it must be")
            found.append(f"{key or 'the settings'}: got {shown}; {needed}{about}")
    return found


def nearest(key: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name."""
    near = difflib.get_close_matches(str(key), list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(set(known)))}"


def _follow(loc: tuple, given, schema: dict) -> tuple[list[str], dict, dict]:
    """Path of an error in ``given``, and the JSON schema at this place and above it."""
    path, node, parent = [], schema, {}
    for part in loc:
        parent = target(node, schema)
        inside = parent.get("properties", {}).get(part, parent.get("items", parent.get("additionalProperties")))
        node = inside if isinstance(inside, dict) else {}
        if isinstance(part, str) or isinstance(given, list):  # a single item may replace a list of one
            path.append(str(part))
            given = given[part] if isinstance(given, list) else given.get(part) if isinstance(given, dict) else None
    return path, node, parent


def target(node: dict, schema: dict) -> dict:
    """Resolve a reference, or a choice between something and null, in a JSON schema."""
    if "anyOf" in node:
        node = next(option for option in node["anyOf"] if option.get("type") != "null")
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
