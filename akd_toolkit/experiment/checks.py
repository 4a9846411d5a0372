"""What is wrong with a recipe's settings, at any depth, found before anything is built."""

import difflib
import inspect
import os
import pydoc
import re
from collections.abc import Callable
from pathlib import Path

import ruamel.yaml

import akd_toolkit.models
import akd_toolkit.teachers  # noqa: F401  (importing the rooms registers their plugins)
from akd_toolkit.data.augment import build_mixup
from akd_toolkit.data.sampling import sampling_of
from akd_toolkit.distill.objective_check import check_objective
from akd_toolkit.experiment.run_options import OPTIONS
from akd_toolkit.experiment.settings import ROW_KEYS, SETTINGS
from akd_toolkit.experiment.trial import trial_problems
from akd_toolkit.experiment.yaml_tree import plain, resolve, tag_target
from akd_toolkit.registry import AUGMENTATIONS, LOSSES, STUDENTS, TEACHERS

# Set by the toolkit at build time, never by YAML.
STUDENT_GIVEN_LATER = ("num_classes",)


def check_settings(file: str | Path, overrides, prepare: Callable | None = None) -> tuple[dict, list[str]]:
    """Resolve the YAML and return (plain settings, problems found at any depth)."""
    text = Path(file).read_text(encoding="utf-8")
    try:
        tree = ruamel.yaml.YAML().load(resolve(file, overrides))
    except (ValueError, LookupError, TypeError, FileNotFoundError, ruamel.yaml.YAMLError) as error:
        return {}, [_one_line(error)]
    helpers = set(re.findall(r"<(\w+)", text))  # a key that others refer to may have any name
    problems = []
    for key, node in tree.items():
        if key in SETTINGS:
            problems += _check_tags(node, key)
            problems += _check_value(key, plain(node))
        elif key in helpers or key.startswith("__"):
            problems += _check_tags(node, key)
        else:
            problems.append(f"unknown setting '{key}'{_nearest(key, [*SETTINGS, *OPTIONS, *helpers])}")
    if prepare is not None and isinstance(tree.get("prepare"), dict):
        problems += _check_call(prepare, prepare.__name__, tree["prepare"], "prepare", partial=True)
    if not problems:
        problems += _check_together(_without_left_out_teachers(plain(tree)))
    missing = [key for key, setting in SETTINGS.items() if setting.required and key not in tree]
    problems += [f"setting '{key}' is missing: {SETTINGS[key].meaning}" for key in missing]
    return _without_left_out_teachers(plain(tree)), problems


def _without_left_out_teachers(settings: dict) -> dict:
    """A teacher that is null is left out, so that ``--teachers.wavlm-large null`` takes one away from a recipe."""
    teachers = settings.get("teachers")
    if not isinstance(teachers, dict):
        return settings
    return {**settings, "teachers": {title: spec for title, spec in teachers.items() if spec is not None} or None}


def _check_value(key: str, value) -> list[str]:
    setting = SETTINGS[key]
    if not setting.allows(value):
        return [f"{key}: got {value!r}; it must be {setting.meaning}"]
    checks = {
        "student": _check_student,
        "teachers": _check_teachers,
        "teachers_offline": _check_teachers,
        "objective": check_objective,
        "rows": _check_rows,
        "augment": _check_augment,
        "mixup": build_mixup,
        "sampling": sampling_of,
    }
    try:
        if value and key in checks:
            checks[key](value)
    except (ValueError, OSError) as error:
        return [f"{key}: {_one_line(error).removeprefix(f'{key}: ')}"]
    except (TypeError, AttributeError, KeyError, LookupError):  # not built as the check expects
        return [f"{key}: got {value!r}; it must be {setting.meaning}"]
    return []


def _check_together(settings: dict) -> list[str]:
    """What only two settings together can get wrong."""
    problems = []
    objective, teachers, student = (settings.get(key) for key in ("objective", "teachers", "student"))
    if student and not objective:
        problems.append("objective is missing; a student needs at least {task: {name: cross_entropy}}")
    if not student and not teachers:
        problems.append("there is neither a student nor a teacher; give at least one")
    if student and objective and objective.get("distill") and not teachers:
        problems.append(
            "objective.distill needs teachers, but there are none; add some or set objective.distill to null"
        )
    if student and teachers and objective and not objective.get("distill"):
        problems.append(
            "there are teachers but no objective.distill to learn from them; set teachers to null or add a loss"
        )
    if settings.get("unlabelled") and not teachers:
        problems.append("unlabelled speech needs teachers to answer on it; add some or set unlabelled to null")
    reading = [
        options["name"]
        for options in (objective or {}).get("distill") or []
        if settings.get("head_decay") is not None and "frames" in LOSSES.get(options["name"]).reads
    ]
    if reading:
        problems.append(
            f"head_decay fits the head on whole utterances, and the loss '{reading[0]}' reads frames; "
            "set head_decay to null, or leave that loss out"
        )
    if student and "fit_head" not in dir(STUDENTS.get(student["name"])):
        if settings.get("head_decay") is not None:
            problems.append(
                f"head_decay is for a student that can fit its head; '{student['name']}' cannot: set it to null"
            )
        if settings.get("number_of_epochs") == 0:
            problems.append(
                f"number_of_epochs is 0 and '{student['name']}' cannot fit its head at once; give at least 1"
            )
    if student:
        needed = ("number_of_epochs", "batch_size", "opt_class", "window_s", "test_overlap_s")
        problems += [f"setting '{key}' is missing: {SETTINGS[key].meaning}" for key in needed if key not in settings]
    if (settings.get("folds") or 0) > len(settings.get("outer_folds") or []):
        problems.append(f"folds: got {settings['folds']}; there are {len(settings['outer_folds'])} outer_folds")
    if _number_in(settings, "test_overlap_s") >= _number_in(settings, "window_s"):
        problems.append(f"test_overlap_s: got {settings['test_overlap_s']}; it must be below window_s")
    problems += _check_changes(settings)
    return problems or trial_problems(settings)


def _number_in(settings: dict, key: str) -> float:
    value = settings.get(key)
    return value if isinstance(value, int | float) else {"window_s": float("inf")}.get(key, 0.0)


def _check_changes(settings: dict) -> list[str]:
    """What augmentation, mixup and sampling get wrong together with other settings."""
    problems = []
    objective, sampling, mixup = (settings.get(key) for key in ("objective", "sampling", "mixup"))
    tasks = (objective or {}).get("task") or []
    tasks = tasks if isinstance(tasks, list) else [tasks]
    weighed = [task["name"] for task in tasks if task.get("balanced")]
    if sampling_of(sampling) == "class_balanced" and weighed:
        problems.append(
            f"sampling class_balanced and balanced of the loss '{weighed[0]}' would both lift rare classes, which then "
            "count twice; take one of them out"
        )
    losses = [loss["name"] for loss in [*tasks, *((objective or {}).get("distill") or [])]]
    unmixed = [name for name in losses if not getattr(LOSSES.get(name), "mixes", True)]
    if mixup is not None and unmixed:
        problems.append(
            f"mixup: the loss '{unmixed[0]}' means nothing for two utterances heard at once; set mixup to null, or "
            "leave that loss out"
        )
    if mixup is not None and settings.get("batch_size") == 1:
        problems.append("mixup needs another utterance to mix with, and batch_size is 1; give at least 2")
    acting = {"augment": settings.get("augment"), "mixup": mixup, "sampling": sampling_of(sampling) != "natural"}
    for key in [key for key, value in acting.items() if value]:
        if settings.get("student") and settings.get("number_of_epochs") == 0:
            problems.append(f"{key} acts on training epochs, and number_of_epochs is 0; set {key} to null")
    return problems


def _check_augment(specs: list) -> None:
    for number, spec in enumerate(specs, start=1):
        try:
            _check_plugin(AUGMENTATIONS, spec)
            AUGMENTATIONS.build(**spec)
        except (ValueError, OSError) as error:
            name = spec.get("name")
            raise ValueError(f"number {number}{f' ({name})' if name else ''}: {error}") from None


def _check_student(spec: dict) -> None:
    _check_plugin(STUDENTS, spec, given_later=STUDENT_GIVEN_LATER)


def _check_teachers(specs: dict) -> None:
    for title, spec in specs.items():
        if spec is None:  # left out
            continue
        if "/" in title:
            raise ValueError(
                f"the title '{title}' names files and columns and must not hold a '/'; give it a short name"
            )
        try:
            _check_plugin(TEACHERS, spec)
        except ValueError as error:
            raise ValueError(f"'{title}': {error}") from None


def _check_rows(rows: list) -> None:
    """Say which row is wrong, and in what."""
    for number, row in enumerate(rows, start=1):
        unknown = [key for key in row if key not in ROW_KEYS]
        name = f"row {number} ({row.get('title')!r})"
        if unknown:
            raise ValueError(f"{name}: unknown key '{unknown[0]}'{_nearest(unknown[0], ROW_KEYS)}")
        if not isinstance(row.get("title"), str) or not re.search("[a-z0-9]", row["title"].lower()):
            raise ValueError(f"{name}: 'title' must be a text with letters or digits, as it names a folder.")
        if not isinstance(row.get("set") or {}, dict):
            raise ValueError(f"{name}: 'set' must be a mapping of overrides, got {row['set']!r}.")


def _check_plugin(registry, spec: dict, given_later: tuple = ()) -> None:
    if not isinstance(spec, dict) or "name" not in spec:
        raise ValueError(f"give a mapping with a 'name'; known {registry.kind}s: {', '.join(registry.names())}.")
    registry.check(spec["name"], {k: v for k, v in spec.items() if k != "name"}, given_later)


def _check_tags(node, where: str) -> list[str]:
    """Problems of the ``!new:``, ``!name:`` and ``!apply:`` nodes at and below ``node``."""
    problems = []
    target = tag_target(node)
    if target:
        found = pydoc.locate(target)
        if found is None:
            problems.append(f"{where}: there is no '{target}' to import")
        elif isinstance(node, dict):
            problems += _check_call(found, target, node, where, partial=node.tag.value.startswith("!name:"))
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        problems += _check_tags(child, f"{where}.{key}")
    return problems


def _check_call(target, name: str, options: dict, where: str, partial: bool) -> list[str]:
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):  # some builtins tell nothing of themselves
        return []
    try:
        (signature.bind_partial if partial else signature.bind)(**options)
    except TypeError as error:
        unknown = [key for key in options if key not in signature.parameters]
        hint = _nearest(unknown[0], signature.parameters) if unknown else ""
        return [f"{where}: {name}: {error}; it accepts {signature}{hint}"]
    return []


def _nearest(key: str, known) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(known))}"


def _one_line(error: Exception) -> str:
    if isinstance(error, ValueError) and "!PLACEHOLDER" in str(error):
        key = str(error).split("'")[1]
        return f"'{key}' must be given, for example on the command line: --{key} VALUE"
    return " ".join(str(part) for part in (error.args or [error])).replace(os.linesep, " ")
