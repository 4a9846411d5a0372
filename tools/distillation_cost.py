"""What distillation costs: one epoch with stored teachers over one without, and over one with the encoders run live.

    cd recipes/EmoDB && python ../../tools/distillation_cost.py hparams/akd.yaml --data_folder /path/to/EmoDB

Same machine, same process, same labelled windows, epochs taken in turn; the figures are ratios of medians. A last line
adds the unlabelled speech of the recipe: more to hear, not dearer to hear. Teacher features are stored first
where they are not. Running every encoder live for a whole epoch would take long: it is timed on one batch, multiplied.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path.cwd()))

from prepare import prepare_emodb

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import (
    build_objective,
    build_student,
    build_teachers,
    make_datasets,
    teacher_bank,
    training_hparams,
)
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.run import Run
from akd_toolkit.recipe import run_recipe
from akd_toolkit.training.brain import DistillBrain

REPEATS = 5


def timed_epochs(brain, batches):
    """A function that trains one more epoch and returns its seconds."""
    brain.total_steps, brain.log = 10**6, {}
    brain.modules.train()
    brain.init_optimizers()

    def epoch(number: int) -> float:
        for part in (batches.dataset, batches.batch_sampler):
            if hasattr(part, "set_epoch"):
                part.set_epoch(number)
        start = time.perf_counter()
        for batch in batches:
            brain.fit_batch(batch)
        return time.perf_counter() - start

    return epoch


NO_TEACHER = {
    "teachers": None,
    "unlabelled": None,
    "objective.distill": None,
    "objective.weighting": None,
    "objective.gate": None,
}


def main(argv):
    config = load_config(argv, prepare_emodb)
    torch.set_num_threads(config["threads"])
    manifest = prepare_emodb(
        config["data_folder"], config["output_folder"], config["label_order"], **config["prepare"]
    )
    with tempfile.TemporaryDirectory() as folder:
        protocol = NestedCrossValidation(config.overridden({"output_folder": folder}), manifest)
        config, fold = protocol.config, protocol.folds[0]
        kinds = {
            "without teachers": (config.overridden(NO_TEACHER), None),
            "with stored teachers": (config.overridden({"unlabelled": None}), None),
        }
        if protocol.unlabelled is not None:
            kinds["with unlabelled speech"] = (config, protocol.unlabelled)
        epochs = {}
        for kind, (its_config, unlabelled) in kinds.items():
            speakers = fold.train_speakers, fold.test_speakers
            run = Run(its_config, manifest, kind, config["seeds"][0], 1, {}, *speakers, unlabelled)
            teachers, student = build_teachers(run), build_student(run)
            objective = build_objective(run, student, teachers)
            batches, hparams = make_datasets(run, objective, teachers).train_loader(), training_hparams(run)
            modules = {"student": student, "objective": objective}
            brain = DistillBrain(modules, hparams["opt_class"], hparams, its_config.brain_options())
            epochs[kind] = timed_epochs(brain, batches)
            for number in range(-3, 0):
                epochs[kind](1000 + number)  # views are made when first heard: not in the timing
        seconds = {kind: [] for kind in epochs}
        for number in range(REPEATS):
            for kind, epoch in epochs.items():
                seconds[kind].append(epoch(number))
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}

    batch = next(iter(batches))
    waveforms = batch.waveforms[: config["batch_size"]].numpy()
    for store in teacher_bank(config, manifest, config["views"]).stores.values():
        store.teacher.features(waveforms[0])  # loads the model
    start = time.perf_counter()
    for store in teacher_bank(config, manifest, config["views"]).stores.values():
        for waveform in waveforms:
            store.teacher.features(waveform)
    live = (time.perf_counter() - start) / len(waveforms) * len(run.train)
    medians["with encoders run live"] = medians["without teachers"] + live

    threads = torch.get_num_threads()
    print(f"one epoch of {config['student']['name']}, {len(run.train)} labelled utterances, {threads} thread(s)")
    for kind, median in medians.items():
        print(f"  {kind:<24}{median:8.2f} s  {median / medians['without teachers']:6.2f} times that without")


if __name__ == "__main__":
    sys.exit(run_recipe(main))
