"""Strict settings: a HyperPyYAML file plus command-line overrides, checked whole before anything is built.

``load_config(["hparams/akd.yaml", "--number_of_epochs=30", "--student.dropout=0.1"])`` resolves references, applies
overrides and reports every problem at any depth in one message. Overrides come, each over the one before, from
files of settings (``--with hparams/hybrid.yaml``), from the ``debug`` section (with ``--debug``) and from the command
line. ``--student.dropout=0.1`` reaches into a mapping or, by number, into a list;
``--student={name: micro_cnn}`` replaces the mapping whole. A YAML with ``based_on: akd.yaml`` holds overrides of the
YAML beside it and no more.
``Config.overridden`` adds a candidate's overrides, ``Config.build`` makes fresh objects, once a training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hyperpyyaml import load_hyperpyyaml

from akd_toolkit.data.local_models import local_source
from akd_toolkit.environment import sb
from akd_toolkit.experiment.checks import check_settings
from akd_toolkit.experiment.run_options import FIXED_OPTIONS, check_run_options, read_command_line
from akd_toolkit.experiment.settings import is_fixed, with_defaults
from akd_toolkit.experiment.yaml_tree import plain, read, resolve, tags_in


@dataclass(frozen=True)
class Config:
    """One checked recipe: plain settings to read, and a way to build its objects afresh.

    ``settings`` holds plain data; a node with a HyperPyYAML tag (``!name:torch.optim.AdamW``) appears there as
    ``{"!name:torch.optim.AdamW": {...}}``, so that settings can be compared and written down.
    """

    file: Path  # the YAML that was named
    base: Path  # the YAML that holds every setting: the same, or the one that it is based on
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
        """The spec of a teacher or student, its ``source`` a folder where ``models_folder`` holds that model."""
        if not spec.get("source"):
            return spec
        return {**spec, "source": local_source(spec["source"], self["models_folder"])}

    def build(self) -> dict:
        """The settings, defaults included, with their tagged objects made anew."""
        return with_defaults(load_hyperpyyaml(resolve(self.base, self.overrides)))

    def overridden(self, overrides: dict) -> "Config":
        """The same recipe with more overrides (dotted keys) on top; what is one of its rows has no rows itself."""
        more = (*_without_rows(self.overrides), *overrides.items())
        settings, problems = check_settings(self.base, more)
        if problems:
            raise ValueError(f"{self.file} with {overrides}: {'; '.join(problems)}")
        return replace(self, overrides=more, settings=settings)

    @property
    def precision(self) -> str:
        """Of training: the command line's, or else the YAML's."""
        given = "precision" in self.run_opts.overridden_args
        return self.run_opts.precision if given else self["precision"]

    @property
    def fixed_run_options(self) -> dict:
        """Run options on the command line that define the result, as the settings do."""
        return {key: self.run_opts[key] for key in sorted(self.run_opts.overridden_args) if key in FIXED_OPTIONS}

    def brain_options(self) -> dict:
        """What the command line says to SpeechBrain's Brain (device, precision, ...).

        ``--debug`` itself is left out: here it means the same recipe on a tiny corpus. ``--debug_batches`` and
        ``--debug_epochs`` stop early as SpeechBrain does; the one that is not given stops nothing.
        """
        given = {key: self.run_opts[key] for key in self.run_opts.overridden_args if key not in ("debug", "param_file")}
        if "debug_batches" in given or "debug_epochs" in given:
            given = {"debug": True, "debug_batches": 0, "debug_epochs": 0, **given}
        if self["jobs"] > 1:  # one bar for all trainings instead of several that overwrite each other
            given["noprogressbar"] = True
        return given


def load_config(argv: list[str], prepare: Callable | None = None) -> Config:
    """Read and check a recipe's YAML and the command line.

    Arguments
    ---------
    argv
        The YAML file, then ``--key=value`` or ``--key value`` for any setting in it (dots reach into nested ones), and
        SpeechBrain's run options that have an effect here (``run_options.OPTIONS``), such as ``--device cuda:0``.
    prepare
        The recipe's preparer, whose options the section ``prepare`` must fit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        Listing every unknown key, unknown plugin, wrong option, value out of range and device that is not there.
    """
    file, run_opts, given = read_command_line(argv)
    base, layers = _based_on(Path(file))
    layers += [read(extra) for extra in str(given.pop("with", "") or "").split(",") if extra]
    debug = _debug_section([read(base), *layers, given])
    layers += [debug] if run_opts.debug else []
    overrides = tuple((str(key), plain(value)) for layer in [*layers, given] for key, value in layer.items())
    settings, problems = check_settings(base, overrides, prepare)
    # What is not used in this run is checked all the same, so that it does not fail on the day when it is.
    unused = {} if problems else {n: (*_without_rows(overrides), *v.items()) for n, v in _variants(settings).items()}
    unused |= {} if problems or run_opts.debug else {"debug": (*overrides, *debug.items())}
    for name, more in unused.items():
        _, found = check_settings(base, more, prepare)
        problems += [f"{name}: {problem}" for problem in found]
    problems += [
        f"candidate {n}: {key} is of the whole protocol and cannot differ between candidates; take it out"
        for n, candidate in enumerate(settings["candidates"] if not problems else [], start=1)
        for key in candidate
        if is_fixed(key.split(".")[0])
    ]
    problems += [f"a tagged value ({tag}) can stand in the recipe's own YAML alone" for tag in tags_in(overrides)]
    problems += check_run_options(run_opts, settings["precision"], settings["jobs"])
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise ValueError(f"{file} has {len(problems)} problem{'s' * (len(problems) > 1)}; nothing was built:{listed}")
    return Config(Path(file), base, overrides, run_opts, settings)


def _without_rows(overrides) -> tuple:
    """A long list of rows would be read again with every one of them; ``only`` means nothing without rows."""
    return tuple((key, value) for key, value in overrides if key.split(".")[0] not in ("rows", "only", "debug"))


def _based_on(file: Path) -> tuple[Path, list[dict]]:
    """The YAML that holds every setting, and what is laid over it: nothing, or what ``file`` says."""
    recipe = read(file)
    if "based_on" not in recipe:
        return file, []
    base = file.parent / str(recipe.pop("based_on"))
    if "based_on" in read(base):
        raise ValueError(f"{file} is based on {base}, which is based on another; name the last one.")
    return base, [recipe]


def _debug_section(layers: list[dict]) -> dict:
    """What --debug changes: the sections and ``debug.KEY`` of all layers, a later one over an earlier."""
    changes = {}
    for layer in map(plain, layers):
        changes |= section if isinstance(section := layer.get("debug"), dict) else {}
        changes |= {key.removeprefix("debug."): value for key, value in layer.items() if key.startswith("debug.")}
    return changes


def _variants(settings: dict) -> dict[str, dict]:
    """Name -> overrides of everything that this recipe may run: its candidates and its rows."""
    candidates = {f"candidate {n}": c for n, c in enumerate(settings["candidates"], start=1)}
    return candidates | {f"row '{row['title']}'": row_overrides(row) for row in settings["rows"] or []}


def row_overrides(row: dict) -> dict:
    """What a row of an ablation changes: files of settings (``with``), and over them its own (``set``)."""
    files = [plain(read(extra)) for extra in str(row.get("with") or "").split(",") if extra]
    return {key: value for layer in [*files, row.get("set") or {}] for key, value in layer.items()}
