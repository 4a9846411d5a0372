"""The cost of distillation: one epoch with stored teachers over one without, and over one with the encoders run live.

    cd recipes/EmoDB && python ../../tools/distillation_cost.py hparams/akd.yaml --data_folder /path/to/EmoDB

Same machine, same process, same labelled windows, epochs taken in turn; the figures are ratios of medians. Each kind of
training is timed with 0, 1 and 2 DataLoader workers (``--num_workers``). A further kind adds the unlabelled speech of
the recipe: more windows, not dearer ones. Teacher features are stored first where they are not. Running every encoder
live for a whole epoch would take long: it is timed on one batch, multiplied.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path.cwd()))

from prepare import prepare_emodb

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts, teacher_bank, training_hparams
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.run import Run
from akd_toolkit.recipe import run_recipe
from akd_toolkit.training.brain import DistillBrain

REPEATS = 5
WORKERS = (0, 1, 2)


def timed_epochs(run: Run, workers: int):
    """A function that trains one more epoch and returns its seconds a step, and one batch."""
    parts = build_parts(replace(run, config=run.config.overridden({"num_workers": workers})))
    hparams, modules = training_hparams(run), {"student": parts.student, "objective": parts.objective}
    brain = DistillBrain(modules, hparams["opt_class"], hparams, run.config.brain_options())
    brain.total_steps = 10**6
    brain.modules.train()
    brain.init_optimizers()
    brain.log = {}
    loader = parts.data.train_loader()

    def epoch(number: int) -> float:
        loader.batch_sampler.set_epoch(number)
        start = time.perf_counter()
        for batch in loader:
            brain.fit_batch(batch)
        return (time.perf_counter() - start) / len(loader)

    return epoch, next(iter(loader))


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
    manifest = prepare_emodb(config["data_folder"], config["output_folder"], config["label_order"], **config["prepare"])
    with tempfile.TemporaryDirectory() as folder:
        protocol = NestedCrossValidation(config.overridden({"output_folder": folder}), manifest)
        config = protocol.config
        kinds = {
            "without teachers": (config.overridden(NO_TEACHER), None),
            "with stored teachers": (config.overridden({"unlabelled": None}), None),
        }
        if protocol.unlabelled is not None:
            kinds["with unlabelled speech"] = (config, protocol.unlabelled)
        epochs = {}
        for kind, (its_config, unlabelled) in kinds.items():
            run = replace(protocol.outer_runs()[0], config=its_config, unlabelled=unlabelled)
            for workers in WORKERS:
                epochs[kind, workers], batch = timed_epochs(run, workers)
                epochs[kind, workers](1000)  # files are opened, workers started: not in the timing
        seconds = {kind: [] for kind in epochs}
        for number in range(REPEATS):
            for kind, epoch in epochs.items():
                seconds[kind].append(epoch(number))
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}

    waveforms = batch.waveforms[: config["batch_size"]].numpy()
    for store in teacher_bank(config, manifest, config["views"]).stores.values():
        store.teacher.features(waveforms[0])  # loads the model
    start = time.perf_counter()
    for store in teacher_bank(config, manifest, config["views"]).stores.values():
        for waveform in waveforms:
            store.teacher.features(waveform)
    live = (time.perf_counter() - start) / len(waveforms) * config["batch_size"]
    medians["with encoders run live", 0] = medians["without teachers", 0] + live

    threads = torch.get_num_threads()
    print(f"one step of {config['student']['name']}, {config['batch_size']} labelled windows, {threads} thread(s)")
    for (kind, workers), median in medians.items():
        ratio = median / medians["without teachers", 0]
        print(f"  {kind:<24}{workers} workers {1000 * median:8.1f} ms {ratio:6.2f} times that without teachers")


if __name__ == "__main__":
    sys.exit(run_recipe(main))
