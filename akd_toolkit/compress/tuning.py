"""Training a student further, as its run trained it."""

from torch import nn

from akd_toolkit.compress.base import Work
from akd_toolkit.training.brain import DistillBrain


def tuned(student: nn.Module, spec: dict, work: Work, epochs: int, lr: float, **changes) -> nn.Module:
    """The student after ``epochs`` under its run's objective, on the run's training speakers; as it is for 0.

    A checkpoint in the step's folder is continued. Weights of the objective's own begin anew.

    Arguments
    ---------
    lr
        Peak of the learning rate.
    changes
        Other settings of the recipe to change.
    """
    if epochs == 0:
        return student.eval()
    run = work.source.training(work.number, spec, number_of_epochs=epochs, **{"opt_class.lr": lr}, **changes)
    run.audit  # noqa: B018  (a leak is refused before anything is trained)
    options = run.config.brain_options()
    brain = DistillBrain(student, run.objective, run.hparams, run.seed, work.folder, options)
    return brain.train_student(run.train_batches, progressbar=work.progress).cpu()
