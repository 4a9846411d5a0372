"""A leak-free experiment of four speakers, as the protocol leaves it, into which each test plants one leak."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from one_run import toy_recipe
from ruamel.yaml import YAML

from akd_toolkit.audit.experiment import audit_experiment
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.stored import Experiment

LABELS = ("anger", "sadness")
SETTINGS = """
    output_folder: FOLDER/sound
    store_folder: FOLDER/sound/store
    candidates: [{batch_size: 1}, {batch_size: 2}]
    student: {name: micro_cnn}
    opt_class: !name:torch.optim.AdamW {lr: 0.1}
"""


def syllables(seed: int, seconds: float = 2.0) -> np.ndarray:
    """Noise in syllables at 16 kHz, as different between seeds as two people are."""
    random = np.random.default_rng(seed)
    steps = random.uniform(0.05, 1.0, size=round(5 * seconds))
    loudness = np.interp(np.arange(round(16000 * seconds)), np.linspace(0, 16000 * seconds, len(steps)), steps)
    return (0.2 * loudness * random.standard_normal(len(loudness))).astype(np.float32).clip(-1, 1)


def pretend_to_train(run) -> None:
    """Candidate 2 is right everywhere, the other is wrong on sadness; heads are fitted on training speakers."""
    good = run.config["batch_size"] == 2
    posteriors = {row.id: np.eye(2)[LABELS.index(row.emotion) if good else 0] for row in run.test}
    history = [{"epoch": epoch, "total": 0.0} for epoch in (1, 2)]
    heads = [
        {"trained_on": [s for s in run.train_speakers if s != out], "answers_for": [out]} for out in run.train_speakers
    ]
    heads = [head for head in heads if head["trained_on"]]
    heads.append({"trained_on": list(run.train_speakers), "answers_for": list(run.test_speakers)})
    loud = SimpleNamespace(title="loud", described_heads=lambda: heads)
    proof = prove_split(run, None)
    run.save(torch.nn.Linear(1, 1), posteriors, history, seconds=1.0, proof=proof, teachers=[loud])


class Planting:
    def __init__(self, folder):
        self.folder = folder

    def json(self, path, **changes) -> None:
        path = self.folder / path
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def settings(self, **changes) -> None:
        yaml, path = YAML(typ="safe"), self.folder / "settings.yaml"
        settings = yaml.load(path.read_text())
        with path.open("w") as stream:
            yaml.dump({**settings, **changes}, stream)

    def manifest(self, change=None, corpus="Toy", **rows) -> None:
        manifest = Manifest.read(self.folder / "manifest.csv")
        change = change or (lambda row: replace(row, **rows.get(row.id, {})))
        manifest = replace(manifest, corpus=corpus, utterances=tuple(map(change, manifest)))
        manifest.write(self.folder / "manifest.csv")
        self.settings(corpus=corpus, manifest_hash=manifest.hash)

    def scores(self, path, change) -> None:
        path = self.folder / path
        change(pd.read_csv(path, dtype={"ID": str, "speaker": str})).to_csv(path, index=False)


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """Built once; tests use ``experiment``, a copy of it."""
    root = tmp_path_factory.mktemp("audited")
    folder = root / "sound"
    rows = []
    for number, (speaker, emotion) in enumerate((s, e) for s in "ABCD" for e in (*LABELS, *LABELS)):
        name = f"{speaker}{number}"
        wav = root / f"{name}.wav"
        soundfile.write(wav, syllables(number), 16000)
        rows.append(Utterance(name, str(wav), 0, 32000, 2.0, speaker, emotion, text=f"said by {speaker}", sha256=name))
    manifest = Manifest("Toy", LABELS, tuple(rows))
    NestedCrossValidation(load_config([toy_recipe(root, SETTINGS)]), manifest).run(pretend_to_train)
    manifest.write(folder / "manifest.csv")
    Planting(folder).settings(teachers={"loud": {"name": "logmel_statistics"}})
    Experiment.read(folder).scores().to_csv(folder / "scores.csv", index=False)
    return folder


@pytest.fixture
def experiment(original, tmp_path):
    """A folder with an experiment that a test may change."""
    return shutil.copytree(original, tmp_path / "experiment")


@pytest.fixture
def plant(experiment):
    """Ways to change the experiment: ``plant.json(path, key=value)``, ``plant.settings(key=value)`` and so on.

    ``plant.manifest(change)`` maps every row, or those of given IDs: ``plant.manifest(C8={"sha256": "A0"})``.
    """
    return Planting(experiment)


@pytest.fixture
def found_in():
    """folder -> {(verdict, check): sentences}."""

    def audited(folder, sound=False, **options):
        found = {}
        for finding in audit_experiment(Experiment.read(folder), sound, progress=False, **options):
            found.setdefault((finding.verdict, finding.check), []).append(finding.sentence)
        return found

    return audited
