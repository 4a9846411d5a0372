"""Training a student further, as its run trained it."""

from torch import nn

from akd_toolkit.compress.base import Work
from akd_toolkit.data.batches import TrainBatches
from akd_toolkit.distill.objective import Objective
from akd_toolkit.experiment.parts import build_objective, build_teachers, make_datasets, prove_split
from akd_toolkit.experiment.run import Run
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
    objective, batches = objective_and_batches(run, student)
    brain = DistillBrain(student, objective, run.config.build(), run.seed, work.folder, run.config.brain_options())
    return brain.train_student(batches, progressbar=work.progress).cpu()


def objective_and_batches(run: Run, student: nn.Module) -> tuple[Objective, TrainBatches]:
    """What the student is trained on; a leak is refused before anything is trained."""
    teachers = build_teachers(run)
    prove_split(run, teachers)
    objective = build_objective(run, student, teachers)
    return objective, make_datasets(run, objective, teachers).train
