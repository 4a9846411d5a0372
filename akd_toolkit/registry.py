"""Plugins found by name: losses, gates, weightings, schedules, teachers, students, augmentations and corpora.

A class joins with ``@LOSSES.register("name")``; YAML selects it with ``{name: name, option: value}``. Another installed
package adds plugins by entry points of the group ``akd_toolkit.<kind>``, such as ``akd_toolkit.losses``; it is imported
when one of its plugins is requested or all are listed.
"""

import difflib
import inspect
import logging
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

logger = logging.getLogger(__name__)


class Registry:
    """Classes of one kind of plugin, by name.

    Arguments
    ---------
    kind
        Singular noun for messages, such as ``"loss"``.
    group
        Entry-point group of other packages' plugins.

    Example
    -------
    >>> shapes = Registry("shape", "example.shapes")
    >>> @shapes.register("square")
    ... class Square:
    ...     def __init__(self, side: float = 1.0):
    ...         self.side = side
    >>> shapes.build("square", side=2.0).side
    2.0
    >>> shapes.build("sqare")
    Traceback (most recent call last):
    ValueError: unknown shape 'sqare'. Did you mean 'square'? Known: square.
    """

    def __init__(self, kind: str, group: str):
        self.kind = kind
        self.group = group
        self._plugins = {}
        self._warned = set()

    def register(self, name: str):
        """Class decorator; ValueError if the name is taken."""

        def add(plugin):
            self._add(name, plugin, _where(plugin))
            return plugin

        return add

    def get(self, name: str):
        """The class registered as ``name``; ValueError names the closest match."""
        for entry in self._contributed:
            if entry.name == name:
                self._load(entry)
        if name not in self._plugins:
            known = {*self._plugins, *(entry.name for entry in self._contributed)}
            raise ValueError(f"unknown {self.kind} '{name}'.{_hint(name, known)} Known: {', '.join(sorted(known))}.")
        return self._plugins[name]

    def check(self, name: str, options: dict, given_later: tuple = ()) -> None:
        """ValueError if the plugin does not accept ``options``; ``given_later`` are arguments set by the toolkit."""
        signature = inspect.signature(self.get(name))
        later = {key: None for key in given_later if key in signature.parameters}
        try:
            signature.bind(**{**later, **options})
        except TypeError as error:
            unknown = [key for key in options if key not in signature.parameters]
            hint = _hint(unknown[0], signature.parameters) if unknown else ""
            raise ValueError(f"{self.kind} '{name}': {error}; it accepts {signature}.{hint}") from None

    def build(self, name: str, **options):
        """Build the plugin ``name`` with ``options``, which are checked first."""
        self.check(name, options)
        return self._plugins[name](**options)

    def example(self, name: str, **options):
        """Build the plugin with its ``example_options``, for tests and documentation."""
        return self.build(name, **{**getattr(self.get(name), "example_options", {}), **options})

    def modules(self) -> set[str]:
        """Modules that registered a plugin; worker processes import them."""
        return {plugin.__module__ for plugin in self._plugins.values()}

    def names(self) -> list[str]:
        """Every name, including those of other packages; a plugin that cannot be loaded is logged and left out."""
        for entry in self._contributed:
            try:
                self._load(entry)
            except (ImportError, ValueError) as error:
                if str(error) not in self._warned:
                    logger.warning("%s", error)
                self._warned.add(str(error))
        return sorted(self._plugins)

    def table(self) -> list[tuple[str, str]]:
        """Name and first docstring line of every plugin."""
        return [(name, (inspect.getdoc(self._plugins[name]) or "").split("\n")[0]) for name in self.names()]

    @cached_property
    def _contributed(self) -> list[EntryPoint]:
        return list(entry_points(group=self.group))

    def _load(self, entry: EntryPoint) -> None:
        package = f"the package {entry.dist.name} {entry.dist.version}"
        try:
            plugin = entry.load()
        except Exception as error:  # importing foreign code may fail in any way
            raise ImportError(
                f"{self.kind} '{entry.name}' of {package} cannot be loaded ({type(error).__name__}: {error}). "
                f"Repair it, or remove it with pip uninstall {entry.dist.name}."
            ) from error
        if not isinstance(plugin, type):
            raise ImportError(
                f"{self.kind} '{entry.name}' of {package} is not a class; its entry point is name = 'module:Class'."
            )
        self._add(entry.name, plugin, f"{_where(plugin)} of {package}")

    def _add(self, name: str, plugin, where: str) -> None:
        owner = self._plugins.setdefault(name, plugin)
        if owner is not plugin:
            raise ValueError(
                f"{self.kind} '{name}' is registered twice: by {_where(owner)} and by {where}. Rename one of them."
            )


def _where(plugin) -> str:
    return f"{plugin.__module__}.{plugin.__qualname__}"


def _hint(name, known) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


LOSSES = Registry("loss", "akd_toolkit.losses")
GATES = Registry("gate", "akd_toolkit.gates")
WEIGHTINGS = Registry("weighting", "akd_toolkit.weightings")
SCHEDULES = Registry("schedule", "akd_toolkit.schedules")
TEACHERS = Registry("teacher", "akd_toolkit.teachers")
STUDENTS = Registry("student", "akd_toolkit.students")
AUGMENTATIONS = Registry("augmentation", "akd_toolkit.augmentations")
CORPORA = Registry("corpus", "akd_toolkit.corpora")
