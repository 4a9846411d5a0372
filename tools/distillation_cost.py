"""What distillation costs: one epoch with stored teachers over one without, and over one with the encoders run live.

    cd recipes/EmoDB && python ../../tools/distillation_cost.py hparams/akd.yaml --data_folder /path/to/EmoDB

Same machine, same process, epochs taken in turn; the figures are ratios of medians. Teacher features are stored first
where they are not. Running every encoder live for a whole epoch would take long: it is timed on one batch, multiplied.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path.cwd()))

from prepare import prepare_emodb

from akd_toolkit.brains import DistillBrain, SupervisedBrain
from akd_toolkit.config import load_config
from akd_toolkit.protocol import NestedCrossValidation
from akd_toolkit.recipe import run_recipe
from akd_toolkit.run import Run, teacher_bank

REPEATS = 5


def timed_epochs(brain, batches):
    """A function that trains one more epoch and returns its seconds."""
    brain.total_steps, brain.bar = 10**6, None
    brain.modules.train()
    brain.init_optimizers()
    brain.epoch_log = {}

    def epoch(number: int) -> float:
        batches.set_epoch(number)
        start = time.perf_counter()
        for batch in batches:
            brain.fit_batch(batch)
        return time.perf_counter() - start

    return epoch


def main(argv):
    config = load_config(argv)
    torch.set_num_threads(config.get("threads", 1))
    manifest = prepare_emodb(config["data_folder"], config["output_folder"], config["label_order"], **config["prepare"])
    protocol = NestedCrossValidation(config, manifest)
    fold = protocol.folds[0]
    epochs = {}
    for kind, brain_class in (("without", SupervisedBrain), ("stored", DistillBrain)):
        run: Run = protocol.outer_run(config["seeds"][0], fold, protocol.candidates[0])
        brain = brain_class(run.student, run.objective, run.hparams, run.seed, run.folder, config.brain_options())
        batches = run.train_batches
        batches.teachers = batches.teachers if kind == "stored" else None
        epochs[kind] = timed_epochs(brain, batches)
        epochs[kind](0)  # first windows and views are made here, not in the timing
    seconds = {kind: [] for kind in epochs}
    for number in range(1, REPEATS + 1):
        for kind, epoch in epochs.items():
            seconds[kind].append(epoch(number))
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}

    batch = next(iter(batches))
    start = time.perf_counter()
    for teacher in teacher_bank(config, manifest, config.get("views", 0)).teachers():
        for waveform in batch.waveforms.numpy():
            teacher.features(waveform)
    live = (time.perf_counter() - start) * len(batches) + medians["without"]

    print(f"one epoch of {config['student']['name']}, {len(run.train)} utterances, {torch.get_num_threads()} thread(s)")
    print(f"  without teachers           {medians['without']:8.2f} s")
    print(
        f"  with stored teachers       {medians['stored']:8.2f} s   {medians['stored'] / medians['without']:.3f} of it"
    )
    print(f"  with encoders run live     {live:8.2f} s   {live / medians['stored']:.1f} times the stored one")


if __name__ == "__main__":
    sys.exit(run_recipe(main))
