"""Training a student further, as its run trained it."""

from torch import nn

from akd_toolkit.deploy.compress.base import Work
from akd_toolkit.experiment.parts import build_parts, training_hparams
from akd_toolkit.training.brain import DistillBrain


def tuned(student: nn.Module, spec: dict, work: Work, epochs: int, lr: float, **changes) -> nn.Module:
    """The student after ``epochs`` under its run's objective, on the run's training speakers; as it is for 0.

    A checkpoint in the step's folder is continued. Weights of the objective's own start from scratch.

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
    parts, hparams = build_parts(run, student), training_hparams(run, work.folder)
    modules = {"student": student, "objective": parts.objective}
    options = run.config.brain_options()
    brain = DistillBrain(modules, hparams["opt_class"], hparams, options, hparams["checkpointer"])
    brain.fit(hparams["epoch_counter"], parts.data.train, None, work.progress, parts.data.train_options)
    return brain.kept.cpu()
