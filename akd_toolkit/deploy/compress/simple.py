"""The steps of one line: train on, and half precision."""

from pathlib import Path

from torch import nn

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work, check_count, check_rate
from akd_toolkit.deploy.export.precision import to_fp16


@COMPRESSIONS.register("finetune")
class Finetune(Compression):
    """Train on under the run's own objective, on its training speakers.

    Source: the training loop of the run (``training.brain.DistillBrain``), started over with a lower learning rate.

    Arguments
    ---------
    epochs
        Number of epochs, >= 1.
    lr
        Peak of the learning rate, in (0, 1].

    Example
    -------
    >>> Finetune(epochs=3).changes_student
    True
    """

    example_options = {"epochs": 1}
    changes_student = True

    def __init__(self, epochs: int, lr: float = 0.001):
        check_count("epochs", epochs, 1)
        check_rate(lr)
        self.epochs, self.lr = epochs, lr

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        return work.train(work.student, work.spec, self.epochs, self.lr), work.spec


@COMPRESSIONS.register("fp16")
class Fp16(Compression):
    """Write a file in half precision; the front end stays in 32 bits.

    Source: ``export/precision.py``, which says how a CPU runs such a file.

    Example
    -------
    >>> Fp16().file
    'student.fp16.onnx'
    """

    file = "student.fp16.onnx"

    def write(self, work: Work, exported: Path, target: Path) -> None:
        to_fp16(exported, target)
