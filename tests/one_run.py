"""The parts of one training, and the training itself, for tests that call no recipe."""

from typing import NamedTuple

from akd_toolkit.experiment.parts import (
    Datasets,
    build_objective,
    build_student,
    build_teachers,
    make_datasets,
    prove_split,
)
from akd_toolkit.training.brain import DistillBrain, predict


class Parts(NamedTuple):
    teachers: object
    student: object
    objective: object
    data: Datasets


def parts_of(run) -> Parts:
    teachers, student = build_teachers(run), build_student(run)
    objective = build_objective(run, student, teachers)
    return Parts(teachers, student, objective, make_datasets(run, objective, teachers))


def train_and_keep(run) -> tuple:
    """The student and its brain, after what the run leaves has been written."""
    teachers, student, objective, data = parts_of(run)
    proof = prove_split(run, teachers)
    brain = DistillBrain(student, objective, run.config.build(), run.seed, run.folder, {"device": "cpu"})
    trained = brain.train_student(data.train, progressbar=False)
    run.keep(trained, predict(trained, data.test), brain.history, brain.seconds, proof, teachers)
    return trained, brain
