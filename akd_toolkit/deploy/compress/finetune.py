"""The step that trains on."""

from torch import nn

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work, check_count, check_rate
from akd_toolkit.deploy.compress.tuning import tuned


@COMPRESSIONS.register("finetune")
class Finetune(Compression):
    """Train on under the run's own objective, on its training speakers.

    Source: the training loop of the run (``training.brain.DistillBrain``), started over with a lower learning rate.

    Arguments
    ---------
    epochs
        How many, >= 1.
    lr
        Peak of the learning rate, in (0, 1].

    Example
    -------
    >>> Finetune(epochs=3).changes_student
    True
    """

    example_options = {"epochs": 1}

    def __init__(self, epochs: int, lr: float = 0.001):
        check_count("epochs", epochs, 1)
        check_rate(lr)
        self.epochs, self.lr = epochs, lr

    @property
    def changes_student(self) -> bool:
        return True

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        return tuned(work.student, work.spec, work, self.epochs, self.lr), work.spec
