"""Checks that the content of a file fits its name. They read plain data and execute nothing."""

import json
from pathlib import Path

from akd_toolkit.data.files import SETTINGS
from akd_toolkit.inference.session import checked_metadata, load_model

MAX_DEPTH = 32  # of nested lists and objects in JSON
ALLOWED_TAGS = ("!new:akd_toolkit.inference.released.ReleasedStudent", "!ref")  # of YAML
CURE = "do not use it, and ask its author for a bundle written by akd release"


def printable(value) -> str:
    """Untrusted text for a message: one line, short, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])


def check_size(path: Path, limit: int) -> None:
    """Refuse a file of more than ``limit`` bytes."""
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"{path} has {size} bytes, and at most {limit} are allowed; {CURE}.")


def check_text(path: Path) -> str:
    """Plain UTF-8 text without null bytes; so pickles, archives and programs are refused."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{path} is not UTF-8 text; {CURE}.")
    return text


def check_json(path: Path) -> dict:
    """A JSON object without NaN, duplicate names or deep nesting."""

    def unique(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name appears twice")
        return dict(pairs)

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    text = check_text(path)
    try:
        content = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
        if _depth(content) > MAX_DEPTH:
            raise ValueError("it is nested too deep")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not plain JSON ({printable(error)}); {CURE}.") from None
    return content


def check_yaml(path: Path) -> None:
    """YAML without anchors and without tags (``!apply:``, ``!!python/object``, ...) except ``ALLOWED_TAGS``.

    The events of the parser are checked; no object is made of them.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        for event in YAML(typ="safe", pure=True).parse(check_text(path)):
            tag, anchor = (getattr(event, name, None) for name in ("tag", "anchor"))
            for value in (None if str(tag) in ALLOWED_TAGS else tag, anchor):
                if value is not None:
                    line = event.start_mark.line + 1
                    raise ValueError(f"{path} has the tag or anchor {printable(value)} in line {line}; {CURE}.")
    except (YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is not plain YAML ({printable(error)}); {CURE}.") from None


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor; only the header is read, and the library checks that it fits the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file ({printable(error)}); {CURE}.") from None


def check_onnx(path: Path) -> None:
    """A self-contained ONNX graph of standard operators, see ``read_checked``."""
    if not load_model(path).graph.node:
        raise ValueError(f"{path} is not an ONNX file (it holds no graph); {CURE}.")


def check_onnx_metadata(path: Path, about: dict) -> None:
    """Refuse an exported file whose labels, rate or windows differ from ``student.json``."""
    metadata = checked_metadata({entry.key: entry.value for entry in load_model(path).metadata_props}, path)
    for key, default in (("label_order", None), ("sample_rate_hz", 16000), ("window_s", 3.0), ("test_overlap_s", 0.0)):
        expected = about.get(key, default)
        if metadata[key] != expected:
            found, expected = (
                printable(", ".join(value) if isinstance(value, list) else value) for value in (metadata[key], expected)
            )
            raise ValueError(f"{path} has {key} {found}, and {SETTINGS} {expected}; {CURE}.")


def _depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
