"""The interface of a compression step."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.experiment.parts import build_parts, training_hparams
from akd_toolkit.registry import Registry
from akd_toolkit.training.brain import DistillBrain

COMPRESSIONS = Registry("compression", "akd_toolkit.compressions")


@dataclass(frozen=True)
class Work:
    """What a step works on.

    Arguments
    ---------
    source
        The run that is compressed: its speech, objective and speakers.
    student, spec
        The student after the steps before, in evaluation mode, and its options; the step may change it in place.
    number
        Position of the step, from 1.
    folder
        Where the step's files go; a checkpoint there is resumed.
    """

    source: Source
    student: nn.Module
    spec: dict
    number: int
    folder: Path
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


def check_count(name: str, value, lowest: int) -> None:
    """Refuse anything but an integer >= ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} must be an integer >= {lowest}, got {value!r}.")


def check_rate(lr) -> None:
    """Refuse anything but a learning rate in (0, 1]."""
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr <= 1:
        raise ValueError(f"lr must be a number in (0, 1], got {lr!r}.")
