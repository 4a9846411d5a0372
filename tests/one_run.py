"""One training without a recipe."""

from pathlib import Path

from akd_toolkit.experiment.parts import Parts, build_parts, save_results, training_hparams
from akd_toolkit.experiment.run import Run
from akd_toolkit.training.brain import DistillBrain


def make_run(config, manifest, train, test) -> Run:
    """A run of seed 1 and fold 1."""
    place = {"folder": Path(config["output_folder"]) / "run", "name": "run", "seed": 1, "fold": 1}
    speakers = {"train_speakers": tuple(train), "test_speakers": tuple(test), "label_order": manifest.label_order}
    speakers["label_share"] = config["label_share"]
    return Run(**place, **speakers, config=config, manifest=manifest, overrides={})


def brain_of(run, parts: Parts) -> DistillBrain:
    hparams, modules = training_hparams(run), {"student": parts.student, "objective": parts.objective}
    return DistillBrain(modules, hparams["opt_class"], hparams, {"device": "cpu"}, hparams["checkpointer"])


def train_and_keep(run) -> tuple:
    """Train, write the results, and return the student and its brain."""
    parts = build_parts(run)
    data, brain = parts.data, brain_of(run, parts)
    brain.fit(brain.hparams.epoch_counter, data.train, data.valid, False, data.train_options, data.test_options)
    save_results(run, brain, brain.evaluate(data.test, test_loader_kwargs=data.test_options), parts)
    return brain.kept, brain
