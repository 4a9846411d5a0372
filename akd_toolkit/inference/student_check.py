"""Checks ``student.json`` of an unknown source before the student is built."""

import math
import os
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.files import SETTINGS, WEIGHTS
from akd_toolkit.inference.contents import CURE, check_json, printable, safetensors_shapes
from akd_toolkit.registry import STUDENTS

MAX_NUMBER = 65_536  # of any number among the options: a width, a count, a length
MAX_ENTRIES = 64  # of a list or mapping among the options
MAX_LABELS, MAX_LETTERS = 1000, 64
SPARE = 1 << 24  # numbers that building may need beside the weights: mel filters, tables of a front end
MAX_OPERATIONS = 100_000


def check_student(folder: str | Path) -> dict:
    """The content of ``student.json``, if its student is registered, fits the weights and needs no more memory.

    Raises
    ------
    ValueError
        If the student, an option, the labels, the rate or a window is not allowed, or the weights do not fit.
    """
    path = Path(folder) / SETTINGS
    about = check_json(path)
    spec = about.get("student")
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ValueError(f"{path} does not name a student; {CURE}.")
    _check_labels(path, about, "label_order", minimum=2)
    if about.get("attributes") is not None:
        _check_labels(path, about, "attributes", minimum=0)
    _check_windows(path, about)
    options = {key: value for key, value in spec.items() if key != "name"}
    if options.get("source") is not None:
        raise ValueError(f"{path}: source must be null, got {printable(options['source'])}; {CURE}.")
    for key, value in options.items():
        _check_option(path, printable(key), value)
    shapes = safetensors_shapes(path.with_name(WEIGHTS))
    stored = sum(math.prod(shape) for shape in shapes.values())
    try:
        with _Budget(4 * stored + SPARE):
            student = STUDENTS.build(spec["name"], **options, num_classes=len(about["label_order"]))
            if about.get("attributes"):
                student.add_attributes(len(about["attributes"]))
    except _TooLarge:
        raise ValueError(f"{path} describes a student larger than the {stored} numbers in {WEIGHTS}; {CURE}.") from None
    except ImportError:
        raise
    except Exception as error:  # an option of the wrong type fails anywhere in a student's constructor
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        reason = "".join(letter for letter in reason if letter.isprintable()).rstrip(".")
        raise ValueError(f"{path} does not describe a student of this toolkit: {reason}; {CURE}.") from None
    expected = {name: tuple(tensor.shape) for name, tensor in student.state_dict().items()}
    for name in sorted(set(expected) | set(shapes)):
        if expected.get(name) != shapes.get(name):
            found, wanted = (
                f"shape {list(side[name])}" if name in side else "no such tensor" for side in (shapes, expected)
            )
            raise ValueError(f"{path.with_name(WEIGHTS)}: {printable(name)} has {found}, expected {wanted}; {CURE}.")
    return about


def _check_labels(path: Path, about: dict, key: str, minimum: int) -> None:
    names = about.get(key)
    valid = isinstance(names, list) and all(
        isinstance(name, str) and 0 < len(name) <= MAX_LETTERS and name.isprintable() for name in names
    )
    if not valid or len(set(names)) < len(names) or not minimum <= len(names) <= MAX_LABELS:
        raise ValueError(
            f"{path}: {key} must be a list of {minimum} to {MAX_LABELS} different names of up to {MAX_LETTERS} "
            f"letters; {CURE}."
        )


def _check_windows(path: Path, about: dict) -> None:
    defaults = {"sample_rate_hz": 16000, "window_s": 3.0, "test_overlap_s": 0.0}
    rate, window, overlap = (about.get(key, default) for key, default in defaults.items())
    if rate != 16000:
        raise ValueError(f"{path}: sample_rate_hz must be 16000, got {printable(rate)}; {CURE}.")
    valid = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (window, overlap))
    if not valid or not (0.1 <= window <= 60 and 0 <= overlap < window):
        raise ValueError(
            f"{path}: window_s must be from 0.1 to 60 and test_overlap_s from 0 to less than that, got "
            f"{printable(window)} and {printable(overlap)}; {CURE}."
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


class _TooLarge(Exception):
    pass


class _Budget(TorchDispatchMode):
    """Raises before a tensor is allocated that takes the sum of all new tensors over ``numbers``."""

    def __init__(self, numbers: int):
        super().__init__()
        self.left, self.operations = numbers, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise _TooLarge
        creates = not any(isinstance(argument, torch.Tensor) for argument in args)
        for argument in args if creates else ():
            sizes = argument if isinstance(argument, list | tuple) else [argument]
            if all(isinstance(size, int) for size in sizes) and math.prod(sizes) > self.left:
                raise _TooLarge
        result = function(*args, **(kwargs or {}))
        if creates and isinstance(result, torch.Tensor):
            self.left -= result.numel()
        return result
