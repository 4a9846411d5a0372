"""What every step of a compression promises."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from akd_toolkit.deploy.compress.source import Source
from akd_toolkit.registry import Registry

COMPRESSIONS = Registry("compression", "akd_toolkit.compressions")


@dataclass(frozen=True)
class Work:
    """What a step is given.

    Arguments
    ---------
    source
        The run that is compressed: its speech, its objective, its speakers.
    student, spec
        The student as the steps before left it, in evaluation mode and the step's to change, and its options.
    number
        The step's place, from 1.
    folder
        Where the step's files go; a checkpoint there is continued.
    """

    source: Source
    student: nn.Module
    spec: dict
    number: int
    folder: Path
    progress: bool = True


class Compression:
    """One step: it changes the student, or makes a file of it, or both.

    A subclass is registered with ``COMPRESSIONS`` and sets ``example_options``, the smallest that make sense. A step
    that makes a file ends the way of its student: what changes weights after it has no weights to change.
    """

    example_options: dict = {}
    file: str | None = None  # name of the file that it makes of the student's FP32 file

    @property
    def changes_student(self) -> bool:
        """Whether weights are other ones afterwards."""
        return False

    def check(self, spec: dict) -> None:
        """Refuse, before anything runs, a student that the step cannot work on."""

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        """The changed student and its options."""
        raise NotImplementedError

    def write(self, work: Work, exported: Path, target: Path) -> None:
        """Make the file ``target`` of the student's exported FP32 file."""
        raise NotImplementedError


def check_count(name: str, value, lowest: int) -> None:
    """Refuse what is no whole number from ``lowest``.

    Example
    -------
    >>> check_count("epochs", -1, lowest=0)
    Traceback (most recent call last):
    ValueError: epochs must be a whole number from 0, got -1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} must be a whole number from {lowest}, got {value!r}.")


def check_rate(lr) -> None:
    """Refuse a learning rate that is none."""
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr <= 1:
        raise ValueError(f"lr must be a number above 0 and up to 1, got {lr!r}.")
