"""What the YAML of an objective may hold, checked before anything is built."""

from collections.abc import Iterator
from math import inf
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from torch import nn

from akd_toolkit.declared import Plugin, Section
from akd_toolkit.registry import GATES, LOSSES, SCHEDULES, WEIGHTINGS

# Constructor arguments that a plugin may ask for by name; build_objective takes them from the models and the corpus.
FILLED_IN = (
    *("num_classes", "class_counts", "num_attributes", "num_teachers"),
    *("student_frame_dim", "student_embedding_dim", "student_layer_dims"),
    *("teacher_embedding_dims", "teacher_frame_dims", "teacher_accuracies"),
)
COLUMNS = ("epoch", "total", "gate", "trust", "weighting")  # of the history, beside one for each loss


def is_schedule(value) -> bool:
    """Whether a number is given as ``{name: registered schedule, ...}``."""
    return isinstance(value, dict) and "name" in value


def _ends(value) -> list:
    """The values with which an option begins and ends."""
    if not is_schedule(value):
        return [value, value]
    try:
        return [SCHEDULES.build(**value)(progress) for progress in (0.0, 1.0)]
    except TypeError:
        raise ValueError(f"schedule '{value['name']}' needs numbers, got {value}") from None


def _weight(value):
    if any(isinstance(end, bool) or not isinstance(end, int | float) or not 0 <= end < inf for end in _ends(value)):
        raise PydanticCustomError("weight", "neither a number nor a schedule")
    return value


Weight = Annotated[Any, AfterValidator(_weight), WithJsonSchema({"words": "a number from 0, or a schedule of such"})]


class Part(Plugin):
    """A plugin of the objective. Any number among its options may be a schedule."""

    filled_in = FILLED_IN
    stand_ins = {"class_counts": [1, 1]}  # any counts will do to check the other options

    def trials(self) -> list[dict]:
        """Its options at both ends of their schedules."""
        ends = {key: _ends(value) for key, value in self.options.items()}
        return [{key: values[end] for key, values in ends.items()} for end in (0, 1)]


class GatePart(Part):
    registry = GATES


class WeightingPart(Part):
    registry = WEIGHTINGS


class LossPart(Part):
    """A loss with its weight; one that is listed twice needs a title of its own."""

    registry = LOSSES

    weight: Weight = Field(1.0, description="0 measures the loss without training on it")
    title: str | None = Field(None, description="what logs call it; by default its name")

    @property
    def column(self) -> str:
        """What logs and the history call the loss."""
        return self.title or self.name

    def try_out(self) -> None:
        """The title names a column of the history and a submodule, so it must be free for both."""
        if self.title == "" or "/" in self.column or "." in self.column:
            raise ValueError(f"the title '{self.title}' names columns and must be text without '/' and '.'")
        if self.column in COLUMNS or hasattr(nn.ModuleDict, self.column):
            raise ValueError(f"the title '{self.column}' has another meaning here; give the loss another title")
        super().try_out()


class DistillPart(LossPart):
    """A loss on teacher outputs."""

    speech: Literal["all", "labelled", "unlabelled"] = Field(
        "all", description="utterances that the loss is a mean over; unlabelled needs unlabelled speech"
    )


class ObjectiveSpec(Section):
    """The objective. ``task`` may be one loss or a list. Sizes can only be checked when the objective is built."""

    task: Annotated[list[LossPart], BeforeValidator(lambda x: [x] if isinstance(x, dict) and x else x)] = Field(
        min_length=1, description="losses on labels, one or a list, such as {name: cross_entropy, weight: 1.0}"
    )
    distill: list[DistillPart] | None = Field(None, description="losses on teacher outputs")
    weighting: WeightingPart | None = Field(None, description="weights of the teachers; null weighs all equally")
    gate: GatePart | None = Field(None, description="where distillation acts; null is everywhere")
    complementary: bool = Field(False, description="whether tasks get the weight that the gate takes from distillation")

    @property
    def losses(self) -> list[LossPart]:
        """Those of the tasks, then those of distillation."""
        return [*self.task, *(self.distill or [])]

    def problems(self) -> Iterator[str]:
        """Titles used twice, and tasks that would have no weight."""
        titles = [loss.column for loss in self.losses]
        for title in sorted({title for title in titles if titles.count(title) > 1}):
            yield f"the loss '{title}' is listed {titles.count(title)} times; list it once, or give each its own title"
        if self.complementary and self.distill and not self.gate:
            yield (
                "complementary gives the tasks the weight that the gate takes, but without a gate they would have "
                "none; add a gate, or set complementary to false"
            )
