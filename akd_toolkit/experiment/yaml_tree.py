"""HyperPyYAML files as trees: read, override by dotted keys, resolve references, convert to plain data."""

import copy
import re
from io import StringIO
from pathlib import Path

import ruamel.yaml
from hyperpyyaml import resolve_references


class MissingSetting(ValueError):
    """A ``!PLACEHOLDER`` that was not replaced."""

    def __init__(self, key: str):
        self.key = key
        super().__init__(f"'{key}' must be given, for example on the command line: --{key} VALUE")


def read(file: str | Path):
    """A YAML file as a tree that keeps its tags; FileNotFoundError or ValueError name the file."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no settings file {file}; give the path of a YAML, such as hparams/akd.yaml.")
    try:
        tree = ruamel.yaml.YAML().load(Path(file).read_text(encoding="utf-8"))
    except ruamel.yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ValueError(f"{file}{line} is not valid YAML ({getattr(error, 'problem', error)}); correct it.") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text; save it as UTF-8.") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{file} holds no settings; it must be a YAML mapping of keys to values.")
    return tree


def command_line(text: str) -> dict:
    """Settings of the command line, which SpeechBrain passes on as lines of ``key: value``."""
    reader = ruamel.yaml.YAML(typ="safe")
    try:
        given = reader.load(text) or {}
        pairs = reader.compose(text).value if isinstance(given, dict) and given else []
    except ruamel.yaml.constructor.DuplicateKeyError as error:
        key = str(error).split('key "')[1].split('"')[0]
        raise ValueError(f"--{key} is given twice on the command line; give it once.") from None
    except ruamel.yaml.YAMLError:
        given = None
    if not isinstance(given, dict):
        line = " ".join(text.split())
        raise ValueError(f"the command line cannot be read as settings ({line}); write --key=value, with YAML values.")
    if empty := [key.value for key, value in pairs if value.value == "" and value.tag.endswith(":null")]:
        raise ValueError(f"--{empty[0]} was given without a value; write --{empty[0]} VALUE, or --{empty[0]} null.")
    return given


def override(tree, key: str, value) -> None:
    """Set ``a.b.c`` in a tree of mappings and lists; missing mappings are created."""
    *parents, last = key.split(".")
    for parent in parents:
        below = tree[_index(tree, parent, key)] if isinstance(tree, list) else tree.setdefault(parent, {})
        if not isinstance(below, dict | list):
            raise ValueError(f"'{key}' cannot be set: '{parent}' is {below!r} and holds no settings of its own")
        tree = below
    place = _index(tree, last, key) if isinstance(tree, list) else last
    if hasattr(tree, "ca"):  # ruamel would write the comment of the old value into the new one
        tree.ca.items.pop(place, None)
    tree[place] = copy.deepcopy(value)


def _index(items: list, part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise ValueError(f"'{key}' cannot be set: '{part}' is not an index from 0 to {len(items) - 1} of its list")
    return int(part)


def resolve(file: str | Path, overrides) -> str:
    """The YAML text after overrides, with references and includes resolved."""
    tree, stream = read(file), StringIO()
    for key, value in overrides:
        override(tree, key, value)
    ruamel.yaml.YAML().dump(tree, stream)
    stream.seek(0)
    stream.name = str(file)  # HyperPyYAML searches included files beside it
    try:
        return resolve_references(stream).getvalue()
    except UnicodeDecodeError:
        raise ValueError(f"a file that {file} includes is not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:
        if "is a !PLACEHOLDER" not in str(error):
            raise
        raise MissingSetting(re.sub(r"\[(\w+)\]", r".\1", str(error).split("'")[1])) from None


def plain(node):
    """The tree as dicts, lists and scalars; a tagged node becomes ``{tag: node}``."""
    if isinstance(node, dict):
        made = {str(key): plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        made = [plain(value) for value in node]
    elif hasattr(node, "tag") and hasattr(node, "value"):  # a tagged scalar, such as `!name:torch.nn.ReLU`
        made = node.value
    elif isinstance(node, float | int | str) and not isinstance(node, bool):  # a subclass of ruamel's
        made = next(kind(node) for kind in (int, float, str) if isinstance(node, kind))
    else:
        made = node
    return {node.tag.value: made} if tag_target(node) else made


def tag_target(node) -> str:
    """The import path of a ``!new:``, ``!name:`` or ``!apply:`` tag; "" without one."""
    value = getattr(getattr(node, "tag", None), "value", None) or ""
    return next((value.removeprefix(tag) for tag in ("!new:", "!name:", "!apply:") if value.startswith(tag)), "")


def tags_in(value) -> list[str]:
    """HyperPyYAML tags that ``plain`` turned into keys, at any depth."""
    if isinstance(value, dict):
        return [tag for key, below in value.items() for tag in ([key] if str(key).startswith("!") else tags_in(below))]
    return [tag for item in value for tag in tags_in(item)] if isinstance(value, list | tuple) else []
