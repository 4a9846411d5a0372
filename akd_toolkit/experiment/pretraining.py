"""Pretraining: a student's layers learn to predict a teacher's features on unlabelled speech."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import ruamel.yaml
import torch
from hyperpyyaml import load_hyperpyyaml
from safetensors.torch import save_file
from sklearn.preprocessing import StandardScaler

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options
from akd_toolkit.data.files import local_source, write_text_aside, written_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import LABEL, prepare_unlabelled
from akd_toolkit.declared import Section, checked
from akd_toolkit.distill.losses.embedding_regression import EmbeddingRegression
from akd_toolkit.distill.losses.hint import Hint
from akd_toolkit.distill.objective import Objective
from akd_toolkit.environment import sb
from akd_toolkit.experiment.paths import locked
from akd_toolkit.experiment.protocol import differences
from akd_toolkit.experiment.run_options import brain_options, check_run_options, fixed_options, read_command_line
from akd_toolkit.experiment.settings import AugmentationPart, Optimiser, Seed, TeacherPart, setting
from akd_toolkit.experiment.yaml_tree import plain, read, resolve
from akd_toolkit.models.pretrained_cnn import CONFIG, OPTIONS, RECORDINGS, WEIGHTS, PretrainedCNN
from akd_toolkit.outputs import TeacherOutput
from akd_toolkit.registry import STUDENTS, TEACHERS
from akd_toolkit.teachers.bank import TeacherBank, part_of
from akd_toolkit.teachers.store import FeatureStore
from akd_toolkit.training.brain import DistillBrain
from akd_toolkit.training.checkpointer import FOLDER, SafeCheckpointer, remove_checkpoints

logger = logging.getLogger(__name__)
CARD = """---
tags: [speech, emotion-recognition, knowledge-distillation]
datasets: [{datasets}]
base_model: {base}
---
# Pretrained layers of a micro CNN

They predict the mean and deviation over time of the frames of {base}, layers {layers}, on {count} utterances
({hours:.1f} h) of {datasets}, without labels. The student explains {explained:.0%} of the variance of these features,
on the training speech itself. Use: `--student.source` of a recipe whose student is `pretrained_cnn`.
"""


class PretrainingSettings(Section):
    """The settings of a pretraining YAML."""

    sources: dict[str, str] = setting(..., "unlabelled speech, title: folder", min_length=1)
    output_folder: str = setting(..., "folder for the pretrained layers")
    store_folder: str = setting(..., "folder for sound and teacher features")
    models_folder: str | None = setting(None, "searched before the hub: owner/name folders, or a models.yaml")
    teacher: TeacherPart = setting(..., "whose features are predicted; it must read audio")
    num_frames: int | None = setting(
        None, "stretches of time whose features are predicted too, if the teacher has frames; null: none", ge=1
    )
    cnn: dict = setting({}, "options of the layers, see pretrained_cnn")
    views: int = setting(0, "augmented copies of each utterance, also for the teacher", ge=0)
    augment: list[AugmentationPart] | None = setting(None, "augmentations of the student's log-mels, in this order")
    window_s: float = setting(..., "longest window in seconds, at a random place", gt=0.1, le=30)
    number_of_epochs: int = setting(..., "passes over the speech", ge=1)
    batch_size: int = setting(..., "windows of a batch", ge=2)
    opt_class: Optimiser = setting(..., "the optimiser, such as !name:torch.optim.AdamW {lr: 0.001}")
    warmup: float = setting(0.0, "share of all steps over which the learning rate rises", ge=0, le=1)
    precision: Literal["fp32", "bf16", "fp16"] = setting("fp32", "of training; fp16 on a GPU only")
    seed: Seed = setting(17, "of weights and batches")
    save_every_s: float = setting(60.0, "seconds from one checkpoint to the next; at the ends of epochs", ge=0)

    def problems(self) -> Iterator[str]:
        for title in [title for title in self.sources if not title or "/" in title]:
            yield f"sources: the title '{title}' must be a name without '/', such as that of the corpus"


PLACES = {"output_folder", "store_folder", "models_folder", "save_every_s"}  # settings that do not change the result


@dataclass(frozen=True)
class Pretraining:
    """A checked pretraining: settings, SpeechBrain's run options, and the optimiser."""

    settings: PretrainingSettings
    run_opts: sb.RunOptions
    opt_class: Callable

    @property
    def folder(self) -> Path:
        return Path(self.settings.output_folder)


def load_pretraining(argv: list[str]) -> Pretraining:
    """Read and check the YAML and the command line; ValueError names every problem."""
    file, run_opts, given = read_command_line(argv)
    debug = (plain(read(file)).get("debug") or {}) if run_opts.debug else {}
    layers = [*debug.items(), *given.items(), ("debug", {})]
    text = resolve(file, [(str(key), plain(value)) for key, value in layers])
    tree = plain(ruamel.yaml.YAML().load(text))
    del tree["debug"]
    settings = checked(PretrainingSettings, tree)
    if problems := check_run_options(run_opts, settings.precision):
        raise ValueError(f"{file}: {'; '.join(problems)}")
    return Pretraining(settings, run_opts, load_hyperpyyaml(text)["opt_class"])


def pretrain(pretraining: Pretraining) -> Path:
    """Train the layers and write them to the output folder, unless they are there; returns the folder.

    The student's embedding predicts the teacher's features of the utterance linearly (``embedding_regression``), and
    its last layer the teacher's frames, averaged over ``num_frames`` stretches of time (``hint``). Features and frames
    are standardised over all speech. An interrupted pretraining continues to the same weights.

    Raises
    ------
    ValueError
        If the folder holds layers that were pretrained with other settings, or the teacher does not read audio.
    """
    settings, folder = pretraining.settings, pretraining.folder
    sources = {
        title: prepare_unlabelled(path, folder, option=f"sources.{title}") for title, path in settings.sources.items()
    }
    _claim_folder(pretraining, sources)
    with locked(folder / "running.lock"):
        if (folder / WEIGHTS).is_file():
            logger.info("%s holds the pretrained layers; nothing is left to do.", folder)
        else:
            _train(pretraining, sources)
    return folder


def _train(pretraining: Pretraining, sources: Mapping[str, Manifest]) -> None:
    settings, folder = pretraining.settings, pretraining.folder
    torch.manual_seed(settings.seed)
    student = STUDENTS.build("pretrained_cnn", num_classes=2, **settings.cnn)  # before features, to find wrong options
    targets = TeacherFeatures(pretraining, sources)
    torch.manual_seed(settings.seed + 1)
    losses = _losses(student, targets, settings.num_frames)
    checkpointer = SafeCheckpointer(folder / FOLDER)
    epochs = sb.utils.epoch_loop.EpochCounter(settings.number_of_epochs)
    brain = DistillBrain(
        modules={"student": student, "objective": Objective({}, losses)},
        opt_class=pretraining.opt_class,
        hparams={
            "seed": settings.seed,
            "warmup": settings.warmup,
            "augment": [part.model_dump() for part in settings.augment or ()],
            "save_every_s": settings.save_every_s,
            "precision": settings.precision,
            "output_folder": str(folder),
        },
        run_opts=brain_options(pretraining.run_opts),
        checkpointer=checkpointer,
    )
    speech = Speech(targets.manifest, targets.waveform, targets.lookup, views=settings.views, labelled=False)
    sampler = TrainSampler([speech], settings.window_s, settings.batch_size, settings.seed)
    brain.fit(epochs, WindowDataset([speech]), train_loader_kwargs=loader_options(sampler))
    _write(pretraining, brain, targets)
    remove_checkpoints(folder)


def _losses(student: PretrainedCNN, targets: "TeacherFeatures", num_frames: int | None) -> dict:
    dims = student.output_dims()
    embedding = EmbeddingRegression(dims["student_embedding_dim"], [len(targets.centre)])
    losses = {"embedding_regression": (embedding, 1.0)}
    if targets.frame_centre is not None:
        layers = dims["student_layer_dims"]
        options = {"groups": [[list(layers)[-1]]], "distance": "squared", "teacher_step": 1, "normalize": False}
        losses["hint"] = Hint(1, layers, [len(targets.frame_centre)], num_frames=num_frames, **options), 1.0
    return losses


class TeacherFeatures:
    """Sound and standardised teacher features of several sources as one corpus, whose IDs begin with the source."""

    def __init__(self, pretraining: Pretraining, sources: Mapping[str, Manifest]):
        settings = pretraining.settings
        spec = settings.teacher.model_dump()
        if spec.get("source"):
            spec["source"] = local_source(spec["source"], settings.models_folder)
        teacher = TEACHERS.build(**spec)
        if teacher.modality != "audio":
            raise ValueError(f"teacher '{teacher.name}' reads {teacher.modality}; give one that reads audio.")
        self.name = teacher.title
        with_frames = settings.num_frames is not None and teacher.frame_rate_hz is not None
        options = {"num_views": settings.views + 1, "frames": [self.name] if with_frames else []}
        self.stores: dict[str, FeatureStore] = {}
        for title, manifest in sources.items():
            audio, folder = AudioStore(manifest, settings.store_folder), settings.store_folder
            bank = TeacherBank({self.name: spec}, audio, folder, **options, device=pretraining.run_opts.device or "cpu")
            bank.prepare()
            self.stores[title] = bank.stores[self.name]
        rows = [replace(row, id=f"{title}/{row.id}") for title, manifest in sources.items() for row in manifest]
        self.manifest = Manifest("+".join(sources), (LABEL,), tuple(rows))
        features = (store.view(0)[[row]] for store in self.stores.values() for row in range(len(store.manifest)))
        self.centre, self.scale = _standardisation(features)
        self.frame_centre = self.frame_scale = None
        if with_frames:
            frames = (store.frames([name], 0)[0] for store in self.stores.values() for name in store.manifest.ids)
            self.frame_centre, self.frame_scale = _standardisation(frames)

    def waveform(self, utterance_id: str, view: int = 0) -> np.ndarray:
        title, _, own = utterance_id.partition("/")
        return self.stores[title].audio.waveform(own, view)

    def lookup(self, utterance_id: str, view: int, span: tuple[float, float]) -> TeacherOutput:
        """The features of the whole utterance, and the frames of a part of it."""
        title, _, own = utterance_id.partition("/")
        features = self.stores[title].get([own], view).reshape(1, -1)
        embedding = torch.from_numpy((features - self.centre) / self.scale)
        frames, lengths = (), None
        if self.frame_centre is not None:
            part = part_of(self.stores[title].frames([own], view)[0], *span)
            frames = (torch.from_numpy((part - self.frame_centre) / self.frame_scale)[None],)
            lengths = torch.ones(1)
        names = (self.name,)
        return TeacherOutput(torch.zeros(1, 1, 2), embedding=(embedding,), frames=frames, lengths=lengths, names=names)


def _standardisation(arrays: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (1 where all is equal) over the first axis of all arrays [n, ...] together, float32 [D]."""
    scaler = StandardScaler()
    for array in arrays:
        scaler.partial_fit(array.reshape(len(array), -1).astype(np.float64))
    return scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)


def _claim_folder(pretraining: Pretraining, sources: Mapping[str, Manifest]) -> None:
    """Write the settings that define the result; ValueError if the folder has other ones."""
    wanted = pretraining.settings.model_dump(exclude=PLACES)
    wanted["run_options"] = fixed_options(pretraining.run_opts)
    wanted["sources"] = {title: manifest.hash for title, manifest in sources.items()}
    wanted = json.loads(json.dumps(wanted))
    file = pretraining.folder / "settings.json"
    if not file.is_file():
        write_text_aside(file, json.dumps(wanted, indent=2) + "\n")
    elif changes := differences(json.loads(file.read_text(encoding="utf-8")), wanted):
        raise ValueError(
            f"{pretraining.folder} holds a pretraining with other settings: {'; '.join(changes)}. Give the old "
            "settings to continue it, or another --output_folder to start over."
        )


def _write(pretraining: Pretraining, brain: DistillBrain, targets: TeacherFeatures) -> None:
    """The history, the options, the recordings, a model card, and, last, the weights."""
    folder, student, settings = pretraining.folder, brain.kept, pretraining.settings
    write_text_aside(folder / "metrics.csv", pd.DataFrame(brain.history).to_csv(index=False))
    config = {"cnn": {name: student.build_options[name] for name in OPTIONS}, "corpora": list(settings.sources)}
    write_text_aside(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    sounds = sorted({row.sha256 for row in targets.manifest})
    write_text_aside(folder / RECORDINGS, "\n".join(sounds) + "\n")
    explained = 1 - brain.history[-1]["embedding_regression"]
    card = CARD.format(
        datasets=", ".join(settings.sources),
        base=settings.teacher.options.get("source", settings.teacher.name),
        layers=settings.teacher.options.get("layers", "all"),
        count=len(targets.manifest),
        hours=sum(row.duration for row in targets.manifest) / 3600,
        explained=explained,
    )
    write_text_aside(folder / "README.md", card)
    with written_aside(folder / WEIGHTS) as aside:
        save_file(student.pretrained(), aside)
    what = "pretrained on %d utterances, %.0f %% of the variance of the teacher's features is explained; see %s."
    logger.info(what, len(targets.manifest), 100 * explained, folder)
