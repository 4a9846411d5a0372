"""Checks that the content of an untrusted file fits its name. They read plain data and execute nothing."""

import json
import math
import os
from pathlib import Path

from akd_toolkit.data.files import SETTINGS, WEIGHTS
from akd_toolkit.inference.session import WINDOWS, checked_metadata, load_model
from akd_toolkit.mistakes import require

MAX_DEPTH = 32  # of nested lists and objects in JSON
ALLOWED_TAGS = ("!new:akd_toolkit.inference.released.ReleasedStudent", "!ref")  # of YAML
MAX_NUMBER = 65_536  # of any number among a student's options: a width, a count, a length
MAX_ENTRIES = 64  # of a list or mapping among the options
MAX_LABELS, MAX_LETTERS = 1000, 64
CURE = "do not use it, and ask its author for a bundle written by akd release"


def printable(value) -> str:
    """Untrusted text for a message: one line, short, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])


def check_size(path: Path, limit: int) -> None:
    """Refuse a file of more than ``limit`` bytes."""
    if (size := path.stat().st_size) > limit:
        raise ValueError(f"{path} has {size} bytes, and at most {limit} are allowed; {CURE}.")


def check_text(path: Path) -> str:
    """Plain UTF-8 text without null bytes; so pickles, archives and programs are refused."""
    content = path.read_bytes()
    try:
        if b"\0" not in content:
            return content.decode()
    except UnicodeDecodeError:
        pass
    raise ValueError(f"{path} is not UTF-8 text; {CURE}.")


def check_json(path: Path) -> dict:
    """A JSON object without NaN, duplicate names or deep nesting."""

    def unique(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name appears twice")
        return dict(pairs)

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    def depth(value) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(depth, inner), default=0)

    text = check_text(path)
    try:
        content = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        if not isinstance(content, dict) or depth(content) > MAX_DEPTH:
            raise ValueError("it is not an object, or nested too deep")
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
        with safe_open(path, framework="np") as file:
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
    for key, default in {"label_order": None, **WINDOWS}.items():
        found, expected = metadata[key], about.get(key, default)
        if found != expected:
            if key == "label_order":
                found, expected = ", ".join(found), ", ".join(expected)
            raise ValueError(f"{path} has {key} {printable(found)}, and {SETTINGS} {printable(expected)}; {CURE}.")


def check_student(folder: str | Path, build: bool = True) -> dict:
    """The content of ``student.json``, if its student is registered, fits the weights and needs no more memory.

    ValueError if the student, an option, the labels, the rate or a window is not allowed, or the weights do not fit.
    Without ``build``, for an exported file that is run instead, the student is not built, so PyTorch is not needed.
    """
    path = Path(folder) / SETTINGS
    about = check_json(path)
    spec = about.get("student")
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ValueError(f"{path} does not name a student; {CURE}.")
    for key, minimum in (("label_order", 2), ("attributes", 0)):
        if minimum or about.get(key) is not None:
            _check_labels(path, about, key, minimum)
    _check_windows(path, about)
    if spec.get("source") is not None:
        raise ValueError(f"{path}: source must be null, got {printable(spec['source'])}; {CURE}.")
    for key, value in spec.items():
        _check_option(path, printable(key), value)
    if not build:
        return about
    shapes = safetensors_shapes(path.with_name(WEIGHTS))
    expected = {name: tuple(tensor.shape) for name, tensor in _built(path, about, shapes).state_dict().items()}
    for name in sorted(set(expected) | set(shapes)):
        found, wanted = (f"shape {list(side[name])}" if name in side else "no tensor" for side in (shapes, expected))
        if found != wanted:
            raise ValueError(f"{path.with_name(WEIGHTS)}: {printable(name)} has {found}, expected {wanted}; {CURE}.")
    return about


def _built(path: Path, about: dict, shapes: dict):
    """The student with fresh weights; building stops when it has more of them than are stored."""
    require("torch")
    from torch.nn.modules.module import register_module_parameter_registration_hook

    import akd_toolkit.models  # noqa: F401  (registers)
    from akd_toolkit.registry import STUDENTS

    stored = left = sum(map(math.prod, shapes.values()))

    def count(module, name, parameter) -> None:
        nonlocal left
        left -= 0 if parameter is None else parameter.numel()
        if left < 0:  # before it is filled, so that its memory was not used yet
            raise ValueError(f"it is larger than the {stored} numbers in {WEIGHTS}")

    hook = register_module_parameter_registration_hook(count)
    try:
        student = STUDENTS.build(**about["student"], num_classes=len(about["label_order"]))
        if about.get("attributes"):
            student.add_attributes(len(about["attributes"]))
        return student
    except ImportError:
        raise
    except Exception as error:  # an option of the wrong type fails anywhere in a student's constructor
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        reason = "".join(letter for letter in reason if letter.isprintable()).rstrip(".")
        raise ValueError(f"{path} does not describe a student of this toolkit: {reason}; {CURE}.") from None
    finally:
        hook.remove()


def _check_labels(path: Path, about: dict, key: str, minimum: int) -> None:
    names = about.get(key)
    valid = isinstance(names, list) and all(
        isinstance(name, str) and 0 < len(name) <= MAX_LETTERS and name.isprintable() for name in names
    )
    if not valid or len(set(names)) < len(names) or not minimum <= len(names) <= MAX_LABELS:
        allowed = f"a list of {minimum} to {MAX_LABELS} different names of up to {MAX_LETTERS} letters"
        raise ValueError(f"{path}: {key} must be {allowed}; {CURE}.")


def _check_windows(path: Path, about: dict) -> None:
    rate, window, overlap = (about.get(name, default) for name, default in WINDOWS.items())
    if rate != 16000:
        raise ValueError(f"{path}: sample_rate_hz must be 16000, got {printable(rate)}; {CURE}.")
    if not ({type(window), type(overlap)} <= {int, float} and 0.1 <= window <= 60 and 0 <= overlap < window):
        given = f"{printable(window)} and {printable(overlap)}"
        raise ValueError(
            f"{path}: window_s must be from 0.1 to 60 and test_overlap_s from 0 to less, got {given}; {CURE}."
        )


def _check_option(path: Path, key: str, value) -> None:
    """Plain values within bounds; none may name a file."""
    if isinstance(value, dict | list):
        if len(value) > MAX_ENTRIES:
            raise ValueError(f"{path}: {key} has {len(value)} entries, at most {MAX_ENTRIES} are allowed; {CURE}.")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_option(path, key, inner)
    elif isinstance(value, str) and (len(value) > MAX_LETTERS or "/" in value or os.sep in value):
        raise ValueError(f"{path}: {key} must not be a path, got {printable(value)}; {CURE}.")
    elif isinstance(value, int | float) and abs(value) > MAX_NUMBER:
        raise ValueError(f"{path}: {key} is {printable(value)}, more than {MAX_NUMBER}; {CURE}.")
