"""The parts of one training, and the training itself, for tests that call no recipe."""

from typing import NamedTuple

from akd_toolkit.experiment.parts import (
    Datasets,
    build_objective,
    build_student,
    build_teachers,
    make_datasets,
    prove_split,
    save_results,
    training_hparams,
)
from akd_toolkit.training.brain import DistillBrain


class Parts(NamedTuple):
    teachers: object
    student: object
    objective: object
    data: Datasets


def parts_of(run) -> Parts:
    teachers, student = build_teachers(run), build_student(run)
    objective = build_objective(run, student, teachers)
    return Parts(teachers, student, objective, make_datasets(run, objective, teachers))


def brain_of(run, student, objective) -> DistillBrain:
    hparams, modules = training_hparams(run), {"student": student, "objective": objective}
    return DistillBrain(modules, hparams["opt_class"], hparams, {"device": "cpu"}, hparams["checkpointer"])


def train_and_keep(run) -> tuple:
    """The student and its brain, after what the run leaves has been written."""
    teachers, student, objective, data = parts_of(run)
    proof = prove_split(run, teachers)
    brain = brain_of(run, student, objective)
    brain.fit(brain.hparams.epoch_counter, data.train, data.valid, False, data.train_options, data.test_options)
    save_results(run, brain, brain.evaluate(data.test, test_loader_kwargs=data.test_options), proof, teachers)
    return brain.kept, brain
