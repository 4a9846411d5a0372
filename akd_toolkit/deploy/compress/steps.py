"""The interface of a compression step, and the steps read from YAML."""

import inspect
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.experiment.parts import build_parts, training_hparams
from akd_toolkit.experiment.yaml_tree import plain, read, tags_in
from akd_toolkit.registry import Registry
from akd_toolkit.training.brain import DistillBrain

COMPRESSIONS = Registry("compression", "akd_toolkit.compressions")
DEFAULT = Path(__file__).with_name("default.yaml")  # the same as hparams/compress.yaml


@dataclass(frozen=True)
class Work:
    """What a step works on."""

    source: Source  # the run that is compressed: its speech, objective and speakers
    student: nn.Module  # after the steps before, in evaluation mode; the step may change it in place
    spec: dict  # options of the student
    number: int  # of the step, from 1
    folder: Path  # for the step's files; a checkpoint there is resumed
    progress: bool = True

    def train(self, student: nn.Module, spec: dict, epochs: int, lr: float, **changes) -> nn.Module:
        """``student`` after ``epochs`` under the run's objective and on its training speakers; unchanged for 0 epochs.

        ``lr`` is the peak of the learning rate, ``changes`` are other settings of the recipe. The objective's own
        weights start from scratch.
        """
        if epochs == 0:
            return student.eval()
        run = self.source.training(self.number, spec, number_of_epochs=epochs, **{"opt_class.lr": lr}, **changes)
        parts, hparams = build_parts(run, student), training_hparams(run, self.folder)
        modules, options = {"student": student, "objective": parts.objective}, run.config.brain_options()
        brain = DistillBrain(modules, hparams["opt_class"], hparams, options, hparams["checkpointer"])
        brain.fit(hparams["epoch_counter"], parts.data.train, None, self.progress, parts.data.train_options)
        return brain.kept.cpu()


class Compression:
    """One step: it changes the student, or writes a file made from it, or both.

    A subclass is registered with ``COMPRESSIONS`` and sets ``example_options``, the smallest valid options. A step with
    a ``file`` must be among the last: steps that change weights cannot follow it.
    """

    example_options: dict = {}
    file: str | None = None  # name of the file that ``write`` makes of the exported FP32 student
    changes_student = False  # whether ``change`` is called

    def check(self, spec: dict) -> None:
        """Raise ValueError if the step cannot work on a student with these options; called before anything runs."""

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        """The changed student and its options."""
        raise NotImplementedError

    def write(self, work: Work, exported: Path, target: Path) -> None:
        """Write ``target``, made from the student's exported FP32 file."""
        raise NotImplementedError


def check_rate(lr) -> None:
    """Refuse anything but a learning rate in (0, 1]."""
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr <= 1:
        raise ValueError(f"lr must be a number in (0, 1], got {lr!r}.")


@dataclass(frozen=True)
class Step:
    """One step: its position from 1, its options with its registered ``name``, and what it does."""

    number: int
    spec: dict
    compression: Compression = field(repr=False)

    @property
    def title(self) -> str:
        """Such as ``1-prune``: its folder and its row in the table."""
        return f"{self.number}-{self.spec['name']}"

    @property
    def whole_spec(self) -> dict:
        """The options including defaults."""
        parameters = inspect.signature(type(self.compression).__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return {"name": self.spec["name"], **defaults, **self.spec}

    @property
    def options(self) -> str:
        """The given options as text: ``share 0.2, epochs 16``."""
        return ", ".join(f"{key} {value}" for key, value in self.spec.items() if key != "name")


def read_steps(file: str | Path | None = None) -> list[Step]:
    """The steps that a YAML lists; without one, those of ``hparams/compress.yaml``.

    FileNotFoundError if there is no such file; ValueError if a step or an option is unknown or out of range, or the
    steps cannot follow each other.
    """
    file = file or DEFAULT
    tree = plain(read(file))
    unknown = [key for key in tree if key != "steps"]
    if unknown or not isinstance(tree.get("steps"), list) or not tree["steps"] or tags_in(tree["steps"]):
        raise ValueError(
            f"{file} must hold one key, steps, with a list such as [{{name: prune, share: 0.25}}], and no tags"
            f"{f'; it has {unknown[0]}' if unknown else ''}."
        )
    return build_steps(tree["steps"], str(file))


def build_steps(specs: list[dict], where: str = "steps") -> list[Step]:
    """Check and build every step.

    Example
    -------
    >>> [step.title for step in build_steps([{"name": "prune"}, {"name": "fp16"}, {"name": "quantize"}])]
    ['1-prune', '2-fp16', '3-quantize']
    """
    steps: list[Step] = []
    for number, spec in enumerate(specs, start=1):
        if not isinstance(spec, dict) or "name" not in spec:
            known = ", ".join(COMPRESSIONS.names())
            raise ValueError(f"{where}: step {number} must be a mapping with a name; known: {known}.")
        try:
            compression = COMPRESSIONS.build(**spec)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: step {number} ({spec['name']}): {error}") from None
        files = [step for step in steps if step.compression.file]
        if files and compression.file is None:
            raise ValueError(
                f"{where}: step {number} ({spec['name']}) cannot follow {files[0].title}, whose file has no weights to "
                "train; put it before."
            )
        steps.append(Step(number, spec, compression))
    return steps
