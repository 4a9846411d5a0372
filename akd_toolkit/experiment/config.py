"""Strict settings: a HyperPyYAML file plus overrides, checked completely before anything is built.

``load_config(["hparams/akd.yaml", "--number_of_epochs=30", "--student.dropout=0.1"])`` resolves references and reports
every problem at any depth in one message. Overrides come, later ones first, from the command line, from the ``debug``
section (with ``--debug``) and from files (``--with hparams/hybrid.yaml``). ``--student.dropout=0.1`` reaches into a
mapping or, by number, into a list; ``--student={name: micro_cnn}`` replaces the whole mapping. A YAML with
``based_on: akd.yaml`` only holds overrides of that YAML.
"""

import inspect
import os
import pydoc
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import ruamel.yaml
from hyperpyyaml import load_hyperpyyaml
from pydantic import ValidationError

from akd_toolkit.data.files import local_source
from akd_toolkit.declared import nearest, sentences
from akd_toolkit.environment import sb
from akd_toolkit.experiment.run_options import (
    OPTIONS,
    brain_options,
    check_run_options,
    fixed_options,
    read_command_line,
)
from akd_toolkit.experiment.settings import Settings, is_fixed, with_defaults
from akd_toolkit.experiment.yaml_tree import MissingSetting, plain, read, resolve, tag_target, tags_in


@dataclass(frozen=True)
class Config:
    """A checked recipe: plain settings to read, and a way to build its objects.

    In ``settings`` a node with a HyperPyYAML tag appears as ``{"!name:torch.optim.AdamW": {...}}``.
    """

    file: Path
    base: Path  # the YAML that ``file`` is based on, or the same
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

    def local(self, spec: dict) -> dict:
        """A teacher's or student's spec, its ``source`` replaced by a folder if ``models_folder`` has that model."""
        if not spec.get("source"):
            return spec
        return {**spec, "source": local_source(spec["source"], self["models_folder"])}

    def build(self) -> dict:
        """The settings with defaults, and new objects for tagged nodes."""
        return with_defaults(load_hyperpyyaml(resolve(self.base, self.overrides)))

    def overridden(self, overrides: dict) -> "Config":
        """A candidate or row: the same recipe with more overrides (dotted keys) and without rows."""
        more = (*_without_rows(self.overrides), *overrides.items())
        settings, problems = _check(self.base, more)
        if problems:
            raise ValueError(f"{self.file} with {overrides}: {'; '.join(problems)}")
        return replace(self, overrides=more, settings=settings)

    @property
    def precision(self) -> str:
        """Precision of training: the command line's, else the YAML's."""
        given = "precision" in self.run_opts.overridden_args
        return self.run_opts.precision if given else self["precision"]

    @property
    def fixed_run_options(self) -> dict:
        """Run options on the command line that define the result."""
        return fixed_options(self.run_opts)

    def brain_options(self) -> dict:
        """Run options for SpeechBrain's Brain."""
        given = brain_options(self.run_opts)
        if self["jobs"] > 1:  # several bars would overwrite each other
            given["noprogressbar"] = True
        return given


def load_config(argv: list[str], prepare: Callable | None = None) -> Config:
    """Read and check a recipe's YAML and command line; ValueError lists every problem.

    Arguments
    ---------
    argv
        The YAML file, ``--key=value`` or ``--key value`` for any setting, and run options such as ``--device cuda:0``.
    prepare
        The recipe's preparer; the section ``prepare`` holds its options.
    """
    file, run_opts, given = read_command_line(argv)
    base, layers = _based_on(Path(file))
    layers += [read(extra) for extra in str(given.pop("with", "") or "").split(",") if extra]
    debug = _debug_section([read(base), *layers, given])
    layers += [debug] if run_opts.debug else []
    overrides, with_debug = (
        tuple((str(key), plain(value)) for layer in [*layers, *more, given] for key, value in layer.items())
        for more in ([], [debug])
    )
    settings, problems = _check(base, overrides, prepare)
    if not problems:  # parts that this run does not use are checked too
        variants = {f"candidate {n}": candidate for n, candidate in enumerate(settings["candidates"], start=1)}
        variants |= {f"row '{row['title']}'": row_overrides(row) for row in settings["rows"] or []}
        variants = {name: (*_without_rows(overrides), *changes.items()) for name, changes in variants.items()}
        variants |= {} if run_opts.debug else {"debug": with_debug}
        for name, more in variants.items():
            problems += [f"{name}: {problem}" for problem in _check(base, more, prepare)[1]]
        problems += [
            f"candidate {n}: {key} is the same for the whole protocol and cannot differ between candidates; take it out"
            for n, candidate in enumerate(settings["candidates"], start=1)
            for key in candidate
            if is_fixed(key.split(".")[0])
        ]
    problems += [f"a tagged value ({tag}) is only allowed in the recipe's own YAML" for tag in tags_in(overrides)]
    problems += check_run_options(run_opts, settings["precision"], settings["jobs"])
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise ValueError(f"{file} has {len(problems)} problem{'s' * (len(problems) > 1)}; nothing was built:{listed}")
    return Config(Path(file), base, overrides, run_opts, settings)


def row_overrides(row: dict) -> dict:
    """Changes of a row of an ablation: files of settings (``with``), then its own (``set``)."""
    files = [plain(read(extra)) for extra in str(row.get("with") or "").split(",") if extra]
    return {key: value for layer in [*files, row.get("set") or {}] for key, value in layer.items()}


def _without_rows(overrides) -> tuple:
    return tuple((key, value) for key, value in overrides if key.split(".")[0] not in ("rows", "only", "debug"))


def _based_on(file: Path) -> tuple[Path, list[dict]]:
    """The YAML that holds every setting, and the overrides of ``file`` if it is based on another."""
    recipe = read(file)
    if "based_on" not in recipe:
        return file, []
    base = file.parent / str(recipe.pop("based_on"))
    if "based_on" in read(base):
        raise ValueError(f"{file} is based on {base}, which is based on another; name the last one.")
    return base, [recipe]


def _debug_section(layers: list[dict]) -> dict:
    """Changes of --debug: the sections and ``debug.KEY`` of all layers."""
    changes = {}
    for layer in map(plain, layers):
        changes |= section if isinstance(section := layer.get("debug"), dict) else {}
        changes |= {key.removeprefix("debug."): value for key, value in layer.items() if key.startswith("debug.")}
    return changes


def _check(file: Path, overrides, prepare: Callable | None = None) -> tuple[dict, list[str]]:
    """Plain settings with every default, and the problems found at any depth."""
    try:
        tree = ruamel.yaml.YAML().load(resolve(file, overrides))
    except MissingSetting as error:  # look for other problems with null in its place
        settings, others = _check(file, [*overrides, (error.key, None)], prepare)
        return settings, [str(error), *(other for other in others if not other.startswith(f"{error.key}:"))]
    except (ValueError, LookupError, TypeError, FileNotFoundError, ruamel.yaml.YAMLError) as error:
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
        tagged = {problem.partition(":")[0] for problem in problems}  # keys with a problem already
        problems += [problem for problem in found if problem.partition(":")[0] not in tagged]
    return with_defaults(settings), problems


def _tag_problems(node, where: str = "") -> list[str]:
    """Problems of the ``!new:``, ``!name:`` and ``!apply:`` nodes at and below ``node``."""
    problems = []
    if path := tag_target(node):
        found = pydoc.locate(path)
        if found is None:
            problems.append(f"{where}: there is no '{path}' to import")
        elif isinstance(node, dict):
            problems += _call_problems(found, path, node, where, partial=node.tag.value.startswith("!name:"))
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in below:
        problems += _tag_problems(value, f"{where}.{key}".lstrip("."))
    return problems


def _call_problems(function, name: str, options: dict, where: str, partial: bool) -> list[str]:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have no signature
        return []
    try:
        (signature.bind_partial if partial else signature.bind)(**options)
    except TypeError as error:
        unknown = [key for key in options if key not in signature.parameters]
        hint = f"; {nearest(unknown[0], signature.parameters)}" if unknown else ""
        return [f"{where}: {name}: {error}; it accepts {signature}{hint}"]
    return []
