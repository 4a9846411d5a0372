"""Whether ``student.json`` names a student that this toolkit knows, and of no more weights than lie beside it."""

import math
import os
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.files import SETTINGS, WEIGHTS
from akd_toolkit.inference.contents import CURE, check_json, printable, safetensors_header
from akd_toolkit.registry import STUDENTS

MAX_NUMBER = 65_536  # of any whole number among the options: a width, a count, a length
MAX_ENTRIES = 64  # of a list or of the names among the options
MAX_LABELS, MAX_LETTERS = 1000, 64
SPARE = 1 << 24  # numbers that building may need beside the weights: mel filters, tables of a front end
MAX_OPERATIONS = 100_000


def check_student(folder: str | Path) -> dict:
    """What ``student.json`` says, once its student has been built as small as its weights and fits them.

    Raises
    ------
    ValueError
        If the student, an option, the labels, the rate or a window is not allowed, or the weights are of another
        student.
    """
    path = Path(folder) / SETTINGS
    about = check_json(path)
    spec = about.get("student")
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ValueError(f"{path} names no student; {CURE}.")
    _check_labels(path, about)
    _check_windows(path, about)
    options = {key: value for key, value in spec.items() if key != "name"}
    _check_options(path, options)
    shapes = safetensors_header(Path(folder) / WEIGHTS)
    held = sum(math.prod(shape) for shape in shapes.values())
    num_classes, num_attributes = len(about["label_order"]), len(about.get("attributes") or ())
    try:
        with _Budget(4 * held + SPARE):
            student = STUDENTS.build(spec["name"], **options, num_classes=num_classes)
            if num_attributes:
                student.add_attributes(num_attributes)
    except _TooLarge:
        told = f"{path} asks for a student of more numbers than the {held} that {WEIGHTS} holds"
        raise ValueError(f"{told}; {CURE}.") from None
    except ImportError:
        raise
    except Exception as error:  # an option of the wrong type fails anywhere in a student's constructor
        raise ValueError(f"{path} describes no student that this toolkit builds: {printable_line(error)}") from None
    _check_shapes(path, student, shapes)
    return about


def printable_line(error: BaseException) -> str:
    """The first line of an error, without control characters, ending in a full stop."""
    line = "".join(letter for letter in (str(error).splitlines() or [type(error).__name__])[0] if letter.isprintable())
    return f"{line[:300].rstrip('.')}."


def _check_labels(path: Path, about: dict) -> None:
    for key in ("label_order", "attributes"):
        names = about.get(key)
        if key == "attributes" and names is None:
            continue
        good = isinstance(names, list) and all(
            isinstance(name, str) and 0 < len(name) <= MAX_LETTERS and name.isprintable() for name in names
        )
        least = 2 if key == "label_order" else 0
        if not good or len(set(names)) < len(names) or not least <= len(names) <= MAX_LABELS:
            raise ValueError(
                f"{path}: {key} must be a list of {least} to {MAX_LABELS} different names of up to {MAX_LETTERS} "
                f"letters; {CURE}."
            )


def _check_windows(path: Path, about: dict) -> None:
    rate, window = about.get("sample_rate_hz", 16000), about.get("window_s", 3.0)
    overlap = about.get("test_overlap_s", 0.0)
    if rate != 16000:
        raise ValueError(f"{path}: sample_rate_hz must be 16000, got {printable(rate)}; {CURE}.")
    for name, value in (("window_s", window), ("test_overlap_s", overlap)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{path}: {name} must be a number of seconds, got {printable(value)}; {CURE}.")
    if not (0.1 <= window <= 60 and 0 <= overlap < window):
        raise ValueError(
            f"{path}: window_s must be from 0.1 to 60 and test_overlap_s from 0 to less than that, got "
            f"{printable(window)} and {printable(overlap)}; {CURE}."
        )


def _check_options(path: Path, options: dict) -> None:
    """Plain values within bounds, and none that would read another file."""

    def look(value, key):
        if isinstance(value, dict | list) and len(value) > MAX_ENTRIES:
            raise ValueError(f"{path}: {key} has {len(value)} entries, at most {MAX_ENTRIES} are allowed; {CURE}.")
        if isinstance(value, dict):
            for name, inner in value.items():
                look(inner, f"{key}.{printable(name)}")
        elif isinstance(value, list):
            for inner in value:
                look(inner, key)
        elif isinstance(value, str) and (len(value) > MAX_LETTERS or "/" in value or os.sep in value):
            raise ValueError(f"{path}: {key} '{printable(value)}' names a place, and a bundle reads no other; {CURE}.")
        elif isinstance(value, int | float) and abs(value) > MAX_NUMBER:
            raise ValueError(f"{path}: {key} is {printable(value)}, more than {MAX_NUMBER}; {CURE}.")

    if options.get("source") is not None:
        told = f"{path} begins from {printable(options['source'])}, and a bundle holds all of its student"
        raise ValueError(f"{told}; {CURE}.")
    for name, value in options.items():
        look(value, printable(name))


def _check_shapes(path: Path, student: torch.nn.Module, shapes: dict[str, tuple[int, ...]]) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in student.state_dict().items()}
    for name in sorted(set(wanted) ^ set(shapes)):
        who = "does not hold" if name in wanted else "also holds"
        raise ValueError(
            f"{path.with_name(WEIGHTS)} {who} {printable(name)}, unlike the student of {SETTINGS}; {CURE}."
        )
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise ValueError(
                f"{path.with_name(WEIGHTS)} holds {printable(name)} as {list(shapes[name])}, and the student of "
                f"{SETTINGS} has it as {list(shape)}; {CURE}."
            )


class _TooLarge(Exception):
    """Building a student would need more than its weights can fill."""


class _Budget(TorchDispatchMode):
    """Refuse, before it is allocated, the tensor that takes the sum of all new ones over ``numbers``."""

    def __init__(self, numbers: int):
        super().__init__()
        self.left, self.operations = numbers, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise _TooLarge
        made = not any(isinstance(argument, torch.Tensor) for argument in args)  # rather than changed or looked at
        for argument in args if made else ():
            sizes = argument if isinstance(argument, list | tuple) else [argument]
            if all(isinstance(size, int) for size in sizes) and math.prod(sizes) > self.left:
                raise _TooLarge
        result = function(*args, **(kwargs or {}))
        if made and isinstance(result, torch.Tensor):
            self.left -= result.numel()
        return result
