"""Distil speech teachers into a small student on several corpora, and score it on corpora or speakers it never saw.

    python train.py hparams/akd.yaml --data_folder /path/to/corpora
    python train.py hparams/akd.yaml --debug          (a minute, on a generated corpus)
    python train.py hparams/akd.yaml --only_run seed17/fold1/outer          (only one split)
    torchrun --nproc_per_node=2 train.py hparams/akd.yaml                   (two GPUs; two processes on a CPU)

One training is ``train_student``; the protocol calls it for every seed, fold and candidate that is not done yet.
"""

import sys

from prepare import prepare_combined

from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import build_parts, save_results, training_hparams
from akd_toolkit.recipe import run_experiment, run_recipe
from akd_toolkit.training.brain import DistillBrain


def train_student(run):
    """One training: build its parts, fit, score the test speakers, save the results."""
    parts = build_parts(run)  # a leak is refused before anything is trained
    data, hparams = parts.data, training_hparams(run)
    brain = DistillBrain(
        modules={"student": parts.student, "objective": parts.objective},
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run.config.brain_options(),
        checkpointer=hparams["checkpointer"],
    )
    if hparams["head_decay"] is not None:
        brain.fit_head(data.whole)
    brain.fit(hparams["epoch_counter"], data.train, data.valid, **data.loaders)
    posteriors = brain.evaluate(data.test, test_loader_kwargs=data.test_options)
    save_results(run, brain, posteriors, parts)


def main(argv):
    config = load_config(argv, prepare_combined)
    run_experiment(config, prepare_combined, train_student)


if __name__ == "__main__":
    sys.exit(run_recipe(main))
