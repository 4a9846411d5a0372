"""A toy experiment whose trainings are faked."""

import numpy as np
import pytest
import torch
from one_run import toy_recipe

from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation

LABELS = ("anger", "sadness")
YAML = """
    seeds: [1, 2]
    candidates: [{batch_size: 1}, {batch_size: 2}, {batch_size: 3}]
    student: {name: micro_cnn}
    number_of_epochs: 1
    opt_class: !name:torch.optim.AdamW {lr: 0.1}
"""


@pytest.fixture
def manifest():
    names = [(s, e, i) for s in "ABCD" for e in LABELS for i in range(3)]
    rows = [Utterance(f"{s}{e}{i}", "/x", 0, 1600, 0.1, s, e, sha256=f"{s}{e}{i}") for s, e, i in names]
    return Manifest("Toy", LABELS, tuple(rows))


@pytest.fixture
def make(tmp_path, manifest):
    """(options) -> the protocol in ``tmp_path/out``."""
    path = toy_recipe(tmp_path, YAML)

    def protocol(*options, manifest=manifest):
        manifest.write(tmp_path / "out" / "manifest.csv")
        return NestedCrossValidation(load_config([path, *options]), manifest)

    return protocol


class Trainer:
    """A fake training: candidate 2 is always right, the others always predict anger."""

    def __init__(self):
        self.runs = []

    def __call__(self, run):
        self.runs.append(run)
        good = run.config["batch_size"] == 2
        posteriors = {row.id: np.eye(2)[LABELS.index(row.emotion) if good else 0] for row in run.test}
        proof = prove_split(run, None)
        run.save(torch.nn.Linear(1, 1), posteriors, [{"epoch": 1, "total": 0.5}], seconds=30.0, proof=proof)


@pytest.fixture
def trainer():
    return Trainer()
