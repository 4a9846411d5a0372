"""The main job on generated speech: two teachers, one small student, unseen speakers, one ONNX file, one prediction.

    python recipes/Generated/train.py recipes/Generated/hparams/demo.yaml          (what `make demo` runs)

Nothing is downloaded. The voices are made by the toolkit: the scores show that the whole pipeline works, not that it
understands people.
"""

import sys

from demo import prepare, show

from akd_toolkit.data.synthetic import prepare_generated
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
    config = load_config(argv, prepare_generated)
    show(run_experiment(config, prepare, train_student))


if __name__ == "__main__":
    sys.exit(run_recipe(main))
