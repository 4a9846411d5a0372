"""What is wrong with a recipe's settings, at any depth, found before anything is built."""

import inspect
import os
import pydoc
import re
from collections.abc import Callable
from pathlib import Path

import ruamel.yaml
from pydantic import ValidationError

from akd_toolkit.declared import nearest, sentences
from akd_toolkit.experiment.run_options import OPTIONS
from akd_toolkit.experiment.settings import Settings, with_defaults
from akd_toolkit.experiment.yaml_tree import plain, resolve, tag_target


def check_settings(file: str | Path, overrides, prepare: Callable | None = None) -> tuple[dict, list[str]]:
    """Resolve the YAML and return (plain settings with every default, problems found at any depth)."""
    try:
        tree = ruamel.yaml.YAML().load(resolve(file, overrides))
    except (ValueError, LookupError, TypeError, FileNotFoundError, ruamel.yaml.YAMLError) as error:
        if "is a !PLACEHOLDER" in str(error):
            return _without_placeholder(str(error), file, overrides, prepare)
        return with_defaults({}), [" ".join(str(part) for part in (error.args or [error])).replace(os.linesep, " ")]
    referred = re.findall(r"<(\w+)", Path(file).read_text(encoding="utf-8"))
    settings = plain(tree)
    helpers = [key for key in settings if key not in Settings.model_fields and (key in referred or key[:2] == "__")]
    if isinstance(settings.get("teachers"), dict):  # --teachers.NAME null leaves a teacher out
        settings["teachers"] = {title: spec for title, spec in settings["teachers"].items() if spec is not None} or None
    problems = _tag_problems(tree)
    if prepare is not None and isinstance(tree.get("prepare"), dict):
        problems += _call_problems(prepare, prepare.__name__, tree["prepare"], "prepare", partial=True)
    declared = {key: value for key, value in settings.items() if key not in helpers}
    try:
        Settings.model_validate(declared)
    except ValidationError as error:
        found = sentences(error, Settings, declared, known=[*OPTIONS, *helpers])
        tagged = {problem.partition(":")[0] for problem in problems}  # keys that have been named before
        problems += [problem for problem in found if problem.partition(":")[0] not in tagged]
    return with_defaults(settings), problems


def _without_placeholder(message: str, file, overrides, prepare) -> tuple[dict, list[str]]:
    """What else is wrong where a placeholder is left: it is taken for null."""
    key = re.sub(r"\[(\w+)\]", r".\1", message.split("'")[1])
    settings, others = check_settings(file, [*overrides, (key, None)], prepare)
    needed = f"'{key}' must be given, for example on the command line: --{key} VALUE"
    return settings, [needed, *(other for other in others if not other.startswith(f"{key}:"))]


def _tag_problems(node, where: str = "") -> list[str]:
    """Problems of the ``!new:``, ``!name:`` and ``!apply:`` nodes at and below ``node``."""
    problems = []
    target = tag_target(node)
    if target:
        found = pydoc.locate(target)
        if found is None:
            problems.append(f"{where}: there is no '{target}' to import")
        elif isinstance(node, dict):
            problems += _call_problems(found, target, node, where, partial=node.tag.value.startswith("!name:"))
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        problems += _tag_problems(child, f"{where}.{key}".lstrip("."))
    return problems


def _call_problems(target, name: str, options: dict, where: str, partial: bool) -> list[str]:
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):  # some builtins have no signature
        return []
    try:
        (signature.bind_partial if partial else signature.bind)(**options)
    except TypeError as error:
        unknown = [key for key in options if key not in signature.parameters]
        hint = f"; {nearest(unknown[0], signature.parameters)}" if unknown else ""
        return [f"{where}: {name}: {error}; it accepts {signature}{hint}"]
    return []
