"""Plugins found by name: losses, gates, weightings, schedules, teachers, students and corpora.

A class joins with ``@LOSSES.register("name")``; YAML chooses it with ``{name: name, option: value}``. A package
installed beside this one adds its own through an entry point of the group ``akd_toolkit.<kind>``, for example
``akd_toolkit.losses``; such packages are looked at only when a name is not known yet.
"""

import difflib
import inspect
from contextlib import contextmanager
from importlib.metadata import entry_points


class Registry:
    """Names to classes of one kind of plugin.

    Arguments
    ---------
    kind
        Singular noun for messages, such as ``"loss"``.
    group
        Entry-point group that other packages use to contribute plugins.

    Example
    -------
    >>> shapes = Registry("shape", "example.shapes")
    >>> @shapes.register("square")
    ... class Square:
    ...     "Four equal sides."
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
        self._entry_points_loaded = False

    def register(self, name: str):
        """Class decorator that files the class under ``name``; a taken name is refused."""

        def add(plugin):
            owner = self._plugins.get(name)
            if owner is not None and owner is not plugin:
                raise ValueError(
                    f"{self.kind} '{name}' is registered twice: by {_where(owner)} and by {_where(plugin)}. "
                    "Rename one of them."
                )
            self._plugins[name] = plugin
            return plugin

        return add

    def get(self, name: str):
        """The class filed under ``name``; an unknown name is refused with the nearest known one."""
        if name not in self._plugins:
            self._load_entry_points()
        if name not in self._plugins:
            near = difflib.get_close_matches(str(name), self._plugins, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"unknown {self.kind} '{name}'.{hint} Known: {', '.join(sorted(self._plugins))}.")
        return self._plugins[name]

    def check(self, name: str, options: dict, given_later: tuple = ()) -> None:
        """Refuse options that the plugin's signature does not accept, before anything is built.

        ``given_later`` names arguments that the toolkit itself passes at build time, such as ``num_classes``.
        """
        signature = inspect.signature(self.get(name))
        accepted = set(signature.parameters)
        later = {key: None for key in given_later if key in accepted}
        try:
            signature.bind(**{**later, **options})
        except TypeError as error:
            unknown = [key for key in options if key not in accepted]
            near = difflib.get_close_matches(unknown[0], accepted, n=1) if unknown else []
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"{self.kind} '{name}': {error}; it accepts {signature}.{hint}") from None

    def build(self, name: str, **options):
        """Build the plugin ``name`` with ``options``, which are checked first."""
        self.check(name, options)
        return self._plugins[name](**options)

    def example(self, name: str, **options):
        """Build the plugin with the smallest options that make sense, for contract tests and pages."""
        plugin = self.get(name)
        return self.build(name, **{**getattr(plugin, "example_options", {}), **options})

    def modules(self) -> set[str]:
        """Modules that registered a plugin; a worker process imports them to know the same names."""
        return {plugin.__module__ for plugin in self._plugins.values()}

    def names(self) -> list[str]:
        """Every registered name, those of other installed packages included."""
        self._load_entry_points()
        return sorted(self._plugins)

    def table(self) -> list[tuple[str, str]]:
        """Name and first docstring line of every plugin."""
        return [(name, (inspect.getdoc(self._plugins[name]) or "").split("\n")[0]) for name in self.names()]

    @contextmanager
    def temporarily(self, name: str, plugin):
        """Register ``plugin`` for the length of a ``with`` block."""
        self.register(name)(plugin)
        try:
            yield plugin
        finally:
            del self._plugins[name]

    def _load_entry_points(self) -> None:
        if not self._entry_points_loaded:
            self._entry_points_loaded = True
            for entry in entry_points(group=self.group):
                self.register(entry.name)(entry.load())


def _where(plugin) -> str:
    return f"{plugin.__module__}.{plugin.__qualname__}"


LOSSES = Registry("loss", "akd_toolkit.losses")
GATES = Registry("gate", "akd_toolkit.gates")
WEIGHTINGS = Registry("weighting", "akd_toolkit.weightings")
SCHEDULES = Registry("schedule", "akd_toolkit.schedules")
TEACHERS = Registry("teacher", "akd_toolkit.teachers")
STUDENTS = Registry("student", "akd_toolkit.students")
CORPORA = Registry("corpus", "akd_toolkit.corpora")
