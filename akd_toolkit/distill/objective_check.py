"""What an objective's description may say, checked before anything is built."""

import difflib
import inspect
from math import inf

from torch import nn

from akd_toolkit.registry import GATES, LOSSES, SCHEDULES, WEIGHTINGS

# Constructor arguments that a plugin may ask for by name; build_objective reads them off the models and the corpus.
FILLED_IN = (
    "num_classes",
    "class_counts",
    "num_attributes",
    "num_teachers",
    "student_frame_dim",
    "student_embedding_dim",
    "student_layer_dims",
    "teacher_embedding_dims",
    "teacher_frame_dims",
    "teacher_accuracies",
)
KEYS = ("task", "distill", "weighting", "gate", "complementary")  # of an objective's description
COLUMNS = ("epoch", "total", "gate", "trust", "weighting")  # of the history, beside one for each loss


def check_objective(spec: dict) -> None:
    """Refuse an objective's description before anything is built; see ``objective.build_objective``.

    What a plugin says of sizes (``groups`` of a hint, for example) can be checked only when it is built.
    """
    unknown = [key for key in spec if key not in KEYS]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), KEYS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(KEYS)}."
        raise ValueError(f"objective: unknown key '{unknown[0]}'; {hint}")
    if not spec.get("task"):
        raise ValueError("objective: 'task' is missing; give at least {task: {name: cross_entropy, weight: 1.0}}.")
    if not isinstance(spec.get("complementary", False), bool):
        raise ValueError(f"objective: complementary must be true or false, got {spec['complementary']!r}.")
    if not isinstance(spec.get("distill") or [], list):
        raise ValueError(f"objective: distill must be a list of losses, got {spec['distill']!r}.")
    if spec.get("complementary") and spec.get("distill") and not spec.get("gate"):
        raise ValueError(
            "objective: complementary gives the tasks what the gate withholds, but there is no gate, so that "
            "they would have no weight; add a gate, or set complementary to false."
        )
    losses = [*listed(spec["task"]), *listed(spec.get("distill"))]
    for options in losses:
        _check(LOSSES, options)
    titles = [title_of(options) for options in losses]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(
                f"objective: the loss '{title}' is listed {titles.count(title)} times; list it once, or give each a "
                "title of its own."
            )
        _checktitle_of(title)
    for registry, key in ((WEIGHTINGS, "weighting"), (GATES, "gate")):
        if spec.get(key):
            _check(registry, spec[key])


def listed(specs) -> list:
    """One description, a list of them, or none, as a list."""
    return specs if isinstance(specs, list) else [specs] if specs else []


def title_of(options: dict) -> str:
    """What a loss is called in logs: its title, else its name."""
    return options.get("title", options["name"])


def _checktitle_of(title) -> None:
    """A title names a column of the history and a submodule."""
    if not isinstance(title, str) or not title or "/" in title or "." in title:
        raise ValueError(f"objective: a title must be a text without '/' and '.', as it names columns, got {title!r}.")
    if title in COLUMNS or hasattr(nn.ModuleDict, title):
        raise ValueError(f"objective: the title '{title}' has another meaning here; give the loss another one.")


def is_schedule(value) -> bool:
    """Whether a number is given as ``{name: registered schedule, ...}``."""
    return isinstance(value, dict) and "name" in value


def _ends(schedule: dict) -> list:
    """The numbers with which a schedule begins and ends."""
    try:
        return [SCHEDULES.build(**schedule)(progress) for progress in (0.0, 1.0)]
    except TypeError:
        raise ValueError(f"schedule '{schedule['name']}' needs numbers, got {schedule}.") from None


def _check(registry, options) -> None:
    """Refuse one plugin's description: its name, its weight, its options, and both ends of its schedules."""
    if not isinstance(options, dict) or "name" not in options:
        raise ValueError(
            f"{registry.kind}: 'name' is missing in {options!r}; give {{name: ..., its options}}. Known: "
            f"{', '.join(registry.names())}."
        )
    name = options["name"]
    if registry is LOSSES:
        weight = options.get("weight", 1.0)
        weights = _ends(weight) if is_schedule(weight) else [weight]
        if any(isinstance(end, bool) or not isinstance(end, int | float) or not 0 <= end < inf for end in weights):
            raise ValueError(f"loss '{name}': weight must be a number >= 0, got {weight!r}.")
        options = {key: value for key, value in options.items() if key not in ("weight", "title")}
    given = {key: value for key, value in options.items() if key != "name"}
    registry.check(name, given, given_later=FILLED_IN)
    for key in FILLED_IN:
        if key in given:
            raise ValueError(f"{registry.kind} '{name}': '{key}' is filled in from the models; take it out.")
    ends = {key: _ends(value) if is_schedule(value) else [value, value] for key, value in given.items()}
    asked = set(FILLED_IN) & set(inspect.signature(registry.get(name)).parameters)
    if asked - {"class_counts"}:
        return  # what it asks for is not known yet
    counts = {"class_counts": [1, 1]} if asked else {}  # any will do to check the other options
    for end in (0, 1):
        try:
            registry.build(name, **{key: values[end] for key, values in ends.items()}, **counts)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{registry.kind} '{name}' with {given}: {error}") from None
