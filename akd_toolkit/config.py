"""Strict settings: a HyperPyYAML file plus command-line overrides, checked whole before anything is built.

``load_config(["hparams/akd.yaml", "--number_of_epochs=30", "--student.dropout=0.1"])`` resolves references, applies
overrides and reports every problem at any depth in one message. Overrides come, each over the one before, from
files of settings (``--with hparams/hybrid.yaml``), from the ``debug`` section (with ``--debug``) and from the command
line. ``--student.dropout=0.1`` reaches into a mapping or, by number, into a list;
``--student={name: micro_cnn}`` replaces the mapping whole.
``Config.overridden`` adds a candidate's overrides, ``Config.build`` makes fresh objects, once a training.
"""

import copy
import difflib
import inspect
import os
import pydoc
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

import ruamel.yaml
import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml, resolve_references

import akd_toolkit.students
import akd_toolkit.teachers  # noqa: F401  (importing the rooms registers their plugins)
from akd_toolkit.objective import check_objective
from akd_toolkit.registry import STUDENTS, TEACHERS
from akd_toolkit.settings import SETTINGS

# Set by the toolkit at build time, never by YAML.
STUDENT_GIVEN_LATER = ("num_classes",)


@dataclass(frozen=True)
class Config:
    """One checked recipe: plain settings to read, and a way to build its objects afresh.

    ``settings`` holds plain data; a node with a HyperPyYAML tag (``!name:torch.optim.AdamW``) appears there as
    ``{"!name:torch.optim.AdamW": {...}}``, so that settings can be compared and written down.
    """

    file: Path
    overrides: tuple[tuple[str, object], ...]
    run_opts: sb.RunOptions
    settings: dict = field(repr=False)

    @property
    def debug(self) -> bool:
        return self.run_opts.debug

    def __getitem__(self, key):
        return self.settings[key]

    def get(self, key, default=None):
        return self.settings.get(key, default)

    def build(self) -> dict:
        """The settings with their tagged objects made anew."""
        return load_hyperpyyaml(_resolve(self.file, self.overrides))

    def overridden(self, overrides: dict) -> "Config":
        """The same recipe with more overrides (dotted keys) on top."""
        more = (*self.overrides, *overrides.items())
        settings, problems = check_settings(self.file, more)
        if problems:
            raise ValueError(f"{self.file} with {overrides}: {'; '.join(problems)}")
        return replace(self, overrides=more, settings=settings)

    def brain_options(self) -> dict:
        """What the command line says to SpeechBrain's Brain (device, precision, ...).

        ``--debug`` is left out: here it means the same recipe on a tiny corpus, not a loop that stops early.
        """
        given = {key: self.run_opts[key] for key in self.run_opts.overridden_args if key not in ("debug", "param_file")}
        return {"precision": self.get("precision", "fp32"), **given}


def load_config(argv: list[str], prepare: Callable | None = None) -> Config:
    """Read and check a recipe's YAML and the command line.

    Arguments
    ---------
    argv
        The YAML file, then ``--key=value`` or ``--key value`` for any setting in it (dots reach into nested ones), and
        SpeechBrain's run options such as ``--device cuda:0``, ``--precision bf16`` and ``--debug``.
    prepare
        The recipe's preparer, whose options the section ``prepare`` must fit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Listing every unknown key, unknown plugin, wrong option and value out of range.
    """
    file, run_opts, override_text = sb.parse_arguments(argv)
    given = _command_line(override_text)
    recipe = _read(file)
    layers = [_read(extra) for extra in str(given.pop("with", "") or "").split(",") if extra]
    debug = recipe.get("debug") or {}
    layers += [debug] if run_opts.debug else []
    overrides = tuple((str(key), _plain(value)) for layer in [*layers, given] for key, value in layer.items())
    settings, problems = check_settings(file, overrides, prepare)
    # What is not used in this run is checked all the same, so that it does not fail on the day when it is.
    others = (
        {f"candidate {n}": c for n, c in enumerate(settings.get("candidates") or [], start=1)} if not problems else {}
    )
    for name, more in {**others, "debug": {} if run_opts.debug else _plain(debug)}.items():
        _, found = check_settings(file, [*overrides, *more.items()], prepare)
        problems += [f"{name}: {problem}" for problem in found if problem not in problems]
    problems += [f"a tagged value ({tag}) can stand in the recipe's own YAML alone" for tag in _tags_in(overrides)]
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise ValueError(f"{file} has {len(problems)} problem{'s' * (len(problems) > 1)}; nothing was built:{listed}")
    return Config(Path(file), overrides, run_opts, settings)


def check_settings(file: str | Path, overrides, prepare: Callable | None = None) -> tuple[dict, list[str]]:
    """Resolve the YAML and return (plain settings, problems found at any depth)."""
    text = Path(file).read_text(encoding="utf-8")
    try:
        tree = ruamel.yaml.YAML().load(_resolve(file, overrides))
    except (ValueError, LookupError, TypeError, FileNotFoundError, ruamel.yaml.YAMLError) as error:
        return {}, [_one_line(error)]
    helpers = set(re.findall(r"<(\w+)", text))  # a key that others refer to may have any name
    problems = []
    for key, node in tree.items():
        if key in SETTINGS:
            problems += _check_tags(node, key)
            problems += _check_value(key, _plain(node))
        elif key in helpers or key.startswith("__"):
            problems += _check_tags(node, key)
        else:
            problems.append(f"unknown setting '{key}'{_nearest(key, [*SETTINGS, *helpers])}")
    if prepare is not None and isinstance(tree.get("prepare"), dict):
        problems += _check_call(prepare, prepare.__name__, tree["prepare"], "prepare", partial=True)
    if not problems:
        problems += _check_together(_plain(tree))
    missing = [key for key, setting in SETTINGS.items() if setting.required and key not in tree]
    problems += [f"setting '{key}' is missing: {SETTINGS[key].meaning}" for key in missing]
    return _plain(tree), problems


def _check_value(key: str, value) -> list[str]:
    setting = SETTINGS[key]
    if not setting.allows(value):
        return [f"{key}: got {value!r}; it must be {setting.meaning}"]
    checks = {
        "student": _check_student,
        "teachers": _check_teachers,
        "teachers_offline": _check_teachers,
        "objective": _check_objective_section,
    }
    try:
        if value and key in checks:
            checks[key](value)
    except ValueError as error:
        return [f"{key}: {_one_line(error)}"]
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
    return problems


def _number_in(settings: dict, key: str) -> float:
    value = settings.get(key)
    return value if isinstance(value, int | float) else {"window_s": float("inf")}.get(key, 0.0)


def _check_student(spec: dict) -> None:
    _check_plugin(STUDENTS, spec, given_later=STUDENT_GIVEN_LATER)


def _check_teachers(specs: dict) -> None:
    for title, spec in specs.items():
        if "/" in title:
            raise ValueError(
                f"the title '{title}' names files and columns and must not hold a '/'; give it a short name"
            )
        try:
            _check_plugin(TEACHERS, spec)
        except ValueError as error:
            raise ValueError(f"'{title}': {error}") from None


def _check_objective_section(spec: dict) -> None:
    unknown = [key for key in spec if key not in ("task", "distill", "weighting", "gate")]
    if unknown:
        raise ValueError(f"unknown key '{unknown[0]}'{_nearest(unknown[0], ['task', 'distill', 'weighting', 'gate'])}")
    check_objective(spec)


def _check_plugin(registry, spec: dict, given_later: tuple = ()) -> None:
    if not isinstance(spec, dict) or "name" not in spec:
        raise ValueError(f"give a mapping with a 'name'; known {registry.kind}s: {', '.join(registry.names())}.")
    registry.check(spec["name"], {k: v for k, v in spec.items() if k != "name"}, given_later)


def _check_tags(node, where: str) -> list[str]:
    """Problems of the ``!new:``, ``!name:`` and ``!apply:`` nodes at and below ``node``."""
    problems = []
    target = _tag_target(node)
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


def _tag_target(node) -> str:
    value = getattr(getattr(node, "tag", None), "value", None) or ""
    for prefix in ("!new:", "!name:", "!apply:"):
        if value.startswith(prefix):
            return value[len(prefix) :]
    return ""


def _plain(node):
    """The tree as dicts, lists and scalars; a tagged node becomes a dict keyed by its tag."""
    if isinstance(node, dict):
        plain = {str(key): _plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        plain = [_plain(value) for value in node]
    elif hasattr(node, "tag") and hasattr(node, "value"):  # a tagged scalar, such as `!name:torch.nn.ReLU`
        plain = node.value
    elif isinstance(node, float | int | str) and not isinstance(node, bool):
        plain = next(kind(node) for kind in (int, float, str) if isinstance(node, kind))
    else:
        plain = node
    return {node.tag.value: plain} if _tag_target(node) else plain


def _override(tree, key: str, value) -> None:
    """Set ``a.b.c`` in a tree of mappings and lists; a mapping on the way that is not there is made."""
    *parents, last = key.split(".")
    for parent in parents:
        below = tree[_index(tree, parent, key)] if isinstance(tree, list) else tree.setdefault(parent, {})
        if not isinstance(below, dict | list):
            raise ValueError(f"'{key}' cannot be set: '{parent}' is {below!r} and holds no settings of its own")
        tree = below
    tree[_index(tree, last, key) if isinstance(tree, list) else last] = copy.deepcopy(value)


def _index(items: list, part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        raise ValueError(f"'{key}' cannot be set: '{part}' is not a place from 0 to {len(items) - 1} in its list")
    return int(part)


def _tags_in(value) -> list[str]:
    """HyperPyYAML tags that ``_plain`` turned into keys, anywhere below."""
    if isinstance(value, dict):
        return [tag for key, below in value.items() for tag in ([key] if str(key).startswith("!") else _tags_in(below))]
    return [tag for item in value for tag in _tags_in(item)] if isinstance(value, list | tuple) else []


def _command_line(text: str) -> dict:
    try:
        return ruamel.yaml.YAML(typ="safe").load(text) or {}
    except ruamel.yaml.constructor.DuplicateKeyError as error:
        key = str(error).split('key "')[1].split('"')[0]
        raise ValueError(f"--{key} is given twice on the command line; give it once.") from None
    except ruamel.yaml.YAMLError:
        line = " ".join(text.split())
        raise ValueError(
            f"the command line cannot be read as settings ({line}); write --key=value, with YAML values."
        ) from None


def _read(file: str | Path):
    """A YAML file as a tree that keeps its tags."""
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no settings file {file}; give the path of a YAML, such as hparams/akd.yaml.")
    try:
        tree = ruamel.yaml.YAML().load(Path(file).read_text(encoding="utf-8"))
    except ruamel.yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ValueError(f"{file}{line} is not valid YAML ({getattr(error, 'problem', error)}); mend it.") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{file} holds no settings; it must be a YAML mapping of keys to values.")
    return tree


def _resolve(file: str | Path, overrides) -> str:
    """The YAML after overrides, with every reference resolved and every include put in place."""
    tree, stream = _read(file), StringIO()
    for key, value in overrides:
        _override(tree, key, value)
    ruamel.yaml.YAML().dump(tree, stream)
    stream.seek(0)
    stream.name = str(file)  # HyperPyYAML looks for included files beside it
    return resolve_references(stream).getvalue()


def _nearest(key: str, known) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(sorted(known))}"


def _one_line(error: Exception) -> str:
    if isinstance(error, ValueError) and "!PLACEHOLDER" in str(error):
        key = str(error).split("'")[1]
        return f"'{key}' must be given, for example on the command line: --{key} VALUE"
    return " ".join(str(part) for part in (error.args or [error])).replace(os.linesep, " ")
