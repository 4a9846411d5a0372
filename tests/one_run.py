"""The parts of one training, and the training itself, for tests that call no recipe."""

from pathlib import Path
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
from akd_toolkit.experiment.run import Run
from akd_toolkit.training.brain import DistillBrain


def make_run(config, manifest, train, test) -> Run:
    """A training of seed 1 and fold 1 in the folder ``run`` of the experiment."""
    place = {"folder": Path(config["output_folder"]) / "run", "name": "run", "seed": 1, "fold": 1}
    speakers = {"train_speakers": tuple(train), "test_speakers": tuple(test), "label_order": manifest.label_order}
    return Run(**place, **speakers, config=config, manifest=manifest, overrides={})


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
