"""The recipe of a toy corpus of four speakers, and one training without a recipe."""

import re
import textwrap
from pathlib import Path

from akd_toolkit.experiment.parts import Parts, build_parts, save_results, training_hparams
from akd_toolkit.experiment.run import Run
from akd_toolkit.training.brain import DistillBrain

TOY = """
seeds: [1]
corpus: Toy
output_folder: FOLDER/out
store_folder: FOLDER/store
label_order: [anger, sadness]
outer_folds: [["A", "B"], ["C"], ["D"]]
student: {name: micro_cnn, channels: [4, 8], dim: 16, dilations: [1, 2], embedding_dim: 8}
objective: {task: {name: cross_entropy}}
number_of_epochs: 2
batch_size: 4
window_s: 1.0
test_overlap_s: 0.0
opt_class: !name:torch.optim.AdamW {lr: 0.02}
"""


def toy_recipe(folder: Path, own: str = "") -> str:
    """Path of the recipe in ``folder``; ``own`` are settings in YAML that are added or replace others."""
    own = textwrap.dedent(own).strip()
    keys = re.findall(r"^\w+", own, re.MULTILINE)
    shared = [line for line in TOY.strip().splitlines() if line.partition(":")[0] not in keys]
    path = folder / "toy.yaml"
    path.write_text("\n".join([*shared, own, ""]).replace("FOLDER", str(folder)))
    return str(path)


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
