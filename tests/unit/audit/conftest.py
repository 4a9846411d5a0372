"""A sound experiment of four speakers, as the protocol leaves it, into which each test plants one leak."""

import json
import shutil
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from ruamel.yaml import YAML

from akd_toolkit.audit.stored import audit_experiment
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.experiment.config import load_config
from akd_toolkit.experiment.parts import prove_split
from akd_toolkit.experiment.protocol import NestedCrossValidation
from akd_toolkit.experiment.stored import Experiment

LABELS = ("anger", "sadness")
SETTINGS = """
    seeds: [1]
    corpus: Toy
    output_folder: {folder}
    store_folder: {folder}/store
    label_order: [anger, sadness]
    outer_folds: [["A", "B"], ["C"], ["D"]]
    candidates: [{{batch_size: 1}}, {{batch_size: 2}}]
    student: {{name: micro_cnn}}
    objective: {{task: {{name: cross_entropy}}}}
    number_of_epochs: 2
    batch_size: 4
    window_s: 1.0
    test_overlap_s: 0.0
    opt_class: !name:torch.optim.AdamW {{lr: 0.1}}
"""


def syllables(seed: int, seconds: float = 2.0) -> np.ndarray:
    """Noise in syllables: 16 kHz, as unlike any other seed's as two people are."""
    random = np.random.default_rng(seed)
    steps = random.uniform(0.05, 1.0, size=round(5 * seconds))
    loudness = np.interp(np.arange(round(16000 * seconds)), np.linspace(0, 16000 * seconds, len(steps)), steps)
    return (0.2 * loudness * random.standard_normal(len(loudness))).astype(np.float32).clip(-1, 1)


def pretend_to_train(run) -> None:
    """Candidate 2 is right everywhere, the other is wrong on sadness; heads hear the training speakers."""
    good = run.config["batch_size"] == 2
    says = {row.id: np.eye(2)[LABELS.index(row.emotion) if good else 0] for row in run.test}
    history = [{"epoch": epoch, "total": 0.0} for epoch in (1, 2)]
    heads = [
        {"trained_on": [s for s in run.train_speakers if s != out], "answers_for": [out]} for out in run.train_speakers
    ]
    heads = [head for head in heads if head["trained_on"]]
    heads.append({"trained_on": list(run.train_speakers), "answers_for": list(run.test_speakers)})
    loud = SimpleNamespace(title="loud", described_heads=lambda: heads)
    proof = prove_split(run, None)
    run.keep(torch.nn.Linear(1, 1), says, history, seconds=1.0, proof=proof, teachers=[loud])


def write_json(path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def change_json(path, **changes) -> None:
    write_json(path, {**json.loads(path.read_text()), **changes})


def change_settings(folder, **changes) -> None:
    yaml, path = YAML(typ="safe"), folder / "settings.yaml"
    settings = yaml.load(path.read_text())
    with path.open("w") as stream:
        yaml.dump({**settings, **changes}, stream)


def change_manifest(folder, change) -> None:
    """``change(row) -> row`` on every utterance."""
    manifest = Manifest.read(folder / "manifest.csv")
    manifest = replace(manifest, utterances=tuple(change(row) for row in manifest))
    manifest.write(folder / "manifest.csv")
    change_settings(folder, manifest_hash=manifest.hash)


def rename_corpus(folder, corpus: str) -> None:
    manifest = replace(Manifest.read(folder / "manifest.csv"), corpus=corpus)
    manifest.write(folder / "manifest.csv")
    change_settings(folder, corpus=corpus, manifest_hash=manifest.hash)


@pytest.fixture(scope="session")
def sound_experiment(tmp_path_factory):
    """Built once; tests take ``experiment``, a copy of it."""
    root = tmp_path_factory.mktemp("audited")
    folder, recipe = root / "sound", root / "toy.yaml"
    rows = []
    for number, (speaker, emotion) in enumerate((s, e) for s in "ABCD" for e in (*LABELS, *LABELS)):
        name = f"{speaker}{number}"
        wav = root / f"{name}.wav"
        soundfile.write(wav, syllables(number), 16000)
        rows.append(Utterance(name, str(wav), 0, 32000, 2.0, speaker, emotion, text=f"said by {speaker}", sha256=name))
    manifest = Manifest("Toy", LABELS, tuple(rows))
    recipe.write_text(textwrap.dedent(SETTINGS.format(folder=folder)))
    NestedCrossValidation(load_config([str(recipe)]), manifest).run(pretend_to_train)
    manifest.write(folder / "manifest.csv")
    change_settings(folder, teachers={"loud": {"name": "logmel_statistics"}})
    Experiment.read(folder).scores().to_csv(folder / "scores.csv", index=False)
    audit_experiment(Experiment.read(folder), progress=False)  # leaves the fingerprints for every copy
    return folder


@pytest.fixture
def experiment(sound_experiment, tmp_path):
    """The folder of a sound experiment of its own."""
    return shutil.copytree(sound_experiment, tmp_path / "experiment")


@pytest.fixture
def plant():
    """Ways to change what a folder says: ``plant.json(path, key=value)``, ``plant.settings(folder, key=value)``.

    ``plant.manifest(folder, change)`` maps every row; ``plant.corpus(folder, name)`` renames the corpus.
    """
    return SimpleNamespace(json=change_json, settings=change_settings, manifest=change_manifest, corpus=rename_corpus)


@pytest.fixture
def found_in():
    """folder -> {(verdict, check): sentences}."""

    def audited(folder, **options):
        found = {}
        for finding in audit_experiment(Experiment.read(folder), progress=False, **options):
            found.setdefault((finding.verdict, finding.check), []).append(finding.sentence)
        return found

    return audited
