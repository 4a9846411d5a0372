"""Whether a file is what its name says: each check reads plain data and runs nothing of it."""

import json
from pathlib import Path

from akd_toolkit.data.files import SETTINGS
from akd_toolkit.inference.model_file import load_model
from akd_toolkit.inference.session import checked_metadata

MAGIC = {  # first bytes of what has no place in a bundle, whatever its name
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"PK\x03\x04": "a ZIP archive, as PyTorch's pickles are",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
    b"\xca\xfe\xba\xbe": "a program",
    b"#!": "a script",
    b"\x1f\x8b": "a compressed archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
}
MAX_DEPTH = 32  # of nested lists and names in JSON and YAML
MAX_TENSORS = 10_000
CURE = "do not use it, and ask its author for a bundle written by akd release"


def printable(value) -> str:
    """Foreign text for a message: on one line, short, without control characters.

    Example
    -------
    >>> printable("a\\nb\\x1b[2J"), len(printable("a" * 900))
    ('a?b?[2J', 60)
    """
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])


def check_size(path: Path, limit: int) -> None:
    """Refuse a file that is larger than its kind ever is."""
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"{path} has {size} bytes, and at most {limit} are allowed; {CURE}.")


def check_text(path: Path) -> str:
    """Plain text in UTF-8 without null bytes."""
    refuse_magic(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8; {CURE}.") from None
    if "\0" in text:
        raise ValueError(f"{path} is no text, as it holds null bytes; {CURE}.")
    return text


def check_json(path: Path) -> dict:
    """Names and plain values: no NaN, no name twice, not nested beyond reason."""

    def unique(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name appears twice")
        return dict(pairs)

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    text = check_text(path)
    try:
        told = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        if not isinstance(told, dict):
            raise ValueError("it holds no names and values")
        if _depth(told) > MAX_DEPTH:
            raise RecursionError
    except RecursionError:
        raise ValueError(f"{path} is nested more than {MAX_DEPTH} deep; {CURE}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is no plain JSON ({printable(error)}); {CURE}.") from None
    return told


def check_yaml(path: Path) -> None:
    """YAML without a tag (``!new:``, ``!apply:``, ``!!python/object``, ...), anchor or alias; it is never loaded."""
    check_yaml_text(check_text(path), path)


def check_card(path: Path) -> None:
    """A model card; the YAML between ``---`` at its head is held to the same."""
    text = check_text(path)
    if text.startswith("---\n") and "\n---" in text[3:]:
        check_yaml_text(text[4 : text.index("\n---", 3)], path)


def check_yaml_text(text: str, path: Path) -> None:
    """The same for text that is already read: its events are looked at, and no object is made of them."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            for name, what in (("tag", "calls"), ("anchor", "names the anchor")):
                if getattr(event, name, None) is not None:
                    told = f"{path} {what} {printable(getattr(event, name))} in line {line}, and no bundle does"
                    raise ValueError(f"{told}; {CURE}.")
            if depth > MAX_DEPTH:
                raise ValueError(f"{path} is nested more than {MAX_DEPTH} deep; {CURE}.")
    except (YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is no plain YAML ({printable(error)}); {CURE}.") from None


def check_safetensors(path: Path) -> None:
    """Tensors and nothing else."""
    safetensors_header(path)


def safetensors_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor; only the header is read, and the library checks that it fits the file."""
    from safetensors import SafetensorError, safe_open

    refuse_magic(path, header=True)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise ValueError(f"{path} holds {len(names)} tensors, and at most {MAX_TENSORS} are allowed; {CURE}.")
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no safetensors file ({printable(error)}); {CURE}.") from None


def check_onnx(path: Path) -> None:
    """One self-contained ONNX graph of standard operators: see ``read_checked``."""
    refuse_magic(path)
    model = load_model(path)
    if not model.graph.node:
        raise ValueError(f"{path} is no ONNX file (it holds no graph); {CURE}.")


def check_onnx_says(path: Path, about: dict) -> None:
    """The exported file names the same emotions in the same order as ``student.json``, the same rate and windows."""
    told = checked_metadata({entry.key: entry.value for entry in load_model(path).metadata_props}, path)
    for key, usual in (("label_order", None), ("sample_rate_hz", 16000), ("window_s", 3.0), ("test_overlap_s", 0.0)):
        wanted = about.get(key, usual)
        if told[key] != wanted:
            said, wanted = (printable(", ".join(v) if isinstance(v, list) else v) for v in (told[key], wanted))
            raise ValueError(f"{path} has {key} {said}, and {SETTINGS} {wanted}; {CURE}.")


def refuse_magic(path: Path, header: bool = False) -> None:
    """Refuse a pickle, an archive or a program under another name; ``header``: a binary length comes first."""
    with path.open("rb") as file:
        begin = file.read(9)
    if header and begin[8:] == b"{":  # behind the eight bytes of a length, which may look like anything
        return
    for magic, what in MAGIC.items():
        if begin.startswith(magic):
            raise ValueError(f"{path} is {what}, not what its name says; {CURE}.")


def _depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
