"""Student and optimiser built once from their settings, small, so that a wrong value is found before any work."""

import json
import pydoc
from functools import lru_cache
from pathlib import Path

import torch

from akd_toolkit.data.files import is_hub_name
from akd_toolkit.registry import STUDENTS


def trial_problems(settings: dict) -> list[str]:
    """What PyTorch has against the options of student and optimiser; a student that begins as a model is not built."""
    student, problems = settings.get("student") or {}, []
    source = student.get("source")
    if source is not None and not Path(source).is_dir() and not is_hub_name(source):
        problems.append(f"student: source '{source}' does not exist; give a folder, or owner/name on the hub")
    if student and source is None:
        problems += _student_problems(json.dumps(student), len(settings["label_order"]))
    if student and settings.get("opt_class"):
        problems += _optimiser_problems(
            settings["opt_class"], hasattr(STUDENTS.get(student["name"]), "parameter_groups")
        )
    return problems


@lru_cache(maxsize=64)
def _student_problems(spec: str, num_classes: int) -> tuple[str, ...]:
    options = json.loads(spec)
    name = options.pop("name")
    try:
        with torch.random.fork_rng([]):
            STUDENTS.build(name, **options, num_classes=num_classes).output_dims()
    except Exception as error:  # layers raise many kinds for a wrong size
        if not options and not isinstance(error, ValueError):
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        return (f"student: '{name}' cannot be built with {options} ({reason})",)
    return ()


def _optimiser_problems(node: dict, needs_lr: bool) -> list[str]:
    ((tag, options),) = node.items() if len(node) == 1 else [("", {})]
    if not tag.startswith("!name:"):
        return ["opt_class must be one optimiser with its options, such as !name:torch.optim.AdamW {lr: 0.001}"]
    if needs_lr and "lr" not in (options or {}):
        return ["opt_class needs lr: each part of the student has its own share of it"]
    try:
        pydoc.locate(tag.removeprefix("!name:"))([torch.nn.Parameter(torch.zeros(1))], **(options or {}))
    except (ValueError, TypeError, LookupError) as error:
        return [f"opt_class: {type(error).__name__}, {error}"]
    return []
