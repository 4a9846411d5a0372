"""The parts of one training: teachers, student, objective and batches, each built from a ``Run``."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.augment import build_augmentations, build_mixup, change_batch
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options, sampling_of, scoring_draws, whole_draws
from akd_toolkit.data.folds import labelled_ids
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import equal_chances
from akd_toolkit.distill.objective import Objective
from akd_toolkit.distill.objective import build_objective as build
from akd_toolkit.environment import sb
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.leaks import audit
from akd_toolkit.experiment.run import Run, attributes_of
from akd_toolkit.metrics.scores import ua
from akd_toolkit.models import Student
from akd_toolkit.models.pretrained_cnn import pretraining_of
from akd_toolkit.outputs import Posteriors
from akd_toolkit.registry import LOSSES, STUDENTS, TEACHERS
from akd_toolkit.teachers import TeacherBank, TeacherFold, transfer_fold
from akd_toolkit.training.brain import DistillBrain
from akd_toolkit.training.checkpointer import FOLDER, SafeCheckpointer, remove_checkpoints
from akd_toolkit.training.front_end import check_front_end
from akd_toolkit.training.processes import barrier, is_main, main_process_first, rank_and_count

EpochCounter = sb.utils.epoch_loop.EpochCounter
FEW = 8  # up to this many training speakers, cross-fitting leaves out one speaker at a time


@main_process_first()
def build_teachers(run: Run) -> TeacherFold | None:
    """The teachers, with heads fitted on the training speakers; None without teachers."""
    if not run.config["teachers"]:
        return None
    return fold_teachers(run.config, run.manifest, run.train_speakers, run.seed, run.one_head)


def build_student(run: Run) -> Student:
    """The untrained student; its initial weights depend on the run's seed alone."""
    hparams = run.config.build()
    torch.manual_seed(run.seed)
    student = STUDENTS.build(**run.config.local(hparams["student"]), num_classes=len(run.manifest.label_order))
    if run.attributes:
        student.add_attributes(len(run.attributes), *_attribute_scale(run))
    check_front_end(student, build_augmentations(hparams["augment"], stage="features"))
    return student


def _attribute_scale(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each attribute over the training utterances, [A]."""
    values = run.labelled.attribute_values(run.attributes)
    for name, known in zip(run.attributes, ~np.isnan(values).all(axis=0)):
        if not known:
            raise ValueError(
                f"attributes: no utterance of the training speakers {', '.join(run.train_speakers)} has {name}; "
                "put other speakers into the fold, or leave it out."
            )
    deviation = np.nanstd(values, axis=0)
    return np.nanmean(values, axis=0), np.where(deviation > 0, deviation, 1.0)


def build_objective(run: Run, student: Student, teachers: TeacherFold | None) -> Objective:
    """The objective for the dimensions of this student and these teachers."""
    train, num_classes, accuracies = run.labelled, len(run.manifest.label_order), []
    if teachers is not None:  # by heads that were not fitted on the speaker
        outputs = teachers.lookup(train.ids, embeddings=False)
        guesses, present = outputs.logits.argmax(dim=-1).numpy(), outputs.is_present().numpy()
        accuracies = [ua(train.labels[rows], guess[rows]) for guess, rows in zip(guesses, present)]
    dims = student.output_dims()
    torch.manual_seed(run.seed + 1)
    return build(
        run.config.build()["objective"],
        num_classes=num_classes,
        class_counts=np.bincount(train.labels, minlength=num_classes).tolist(),
        num_attributes=len(run.attributes),
        **dims,
        num_teachers=len(teachers or ()),
        teacher_embedding_dims=[] if teachers is None else teachers.embedding_dims,
        teacher_frame_dims=[] if teachers is None else teachers.frame_dims,
        teacher_accuracies=accuracies,
    )


@dataclass(frozen=True)
class Datasets:
    """Data for training, validation and scoring, and the options of their DataLoaders.

    ``valid`` holds the test speakers of an inner run; None for an outer run.
    """

    train: WindowDataset
    valid: WindowDataset | None
    test: WindowDataset
    train_options: dict
    test_options: dict

    @property
    def loaders(self) -> dict:
        """The options, for ``Brain.fit``."""
        return {"train_loader_kwargs": self.train_options, "valid_loader_kwargs": self.test_options}

    @property
    def whole(self) -> DataLoader:
        """Batches of whole training utterances, to fit the head of a student before training."""
        sampler = self.train_options["batch_sampler"]
        draws = whole_draws(self.train.sources, sampler.batch_size, sampler.sampling)
        return DataLoader(self.train, **loader_options(draws))

    def train_loader(self) -> DataLoader:
        """Training batches of epoch 0, for use outside a Brain."""
        return DataLoader(self.train, **self.train_options)


@main_process_first()
def make_datasets(run: Run, objective: Objective, teachers: TeacherFold | None) -> Datasets:
    """Windows of the training speakers with the teachers' outputs, and of the test speakers."""
    config, audio = run.config, AudioStore(run.manifest, run.config["store_folder"])
    options = audio.waveform, _lookup(teachers, objective), config["views"], run.attributes
    sources = [Speech(run.labelled, *options)]
    if run.label_share < 1 and teachers is not None:
        sources.append(Speech(run.hidden, *options, labelled=False))
    sources += [_unlabelled(run, objective, teachers, title, speech) for title, speech in run.unlabelled_train.items()]
    rank, count = rank_and_count()
    sampler = TrainSampler(
        sources,
        window_s=config["window_s"],
        batch_size=config["batch_size"],
        seed=run.seed,
        unlabelled_ratio=config["unlabelled_ratio"],
        sampling=sampling_of(config["sampling"]),
        epoch_size=len(run.train),
        rank=rank,
        num_processes=count,
    )
    augmentations, mixup = build_augmentations(config["augment"], stage="waveform"), build_mixup(config["mixup"])
    change = None
    if augmentations or mixup is not None:
        change = partial(change_batch, augmentations=augmentations, mixup=mixup)
    scored = scoring_draws(run.test, *(config[key] for key in ("window_s", "test_overlap_s", "batch_size")))
    test = WindowDataset([Speech(run.test, audio.waveform, attributes=run.attributes)])
    return Datasets(
        train=WindowDataset(sources),
        valid=test if run.kind == "inner" else None,
        test=test,
        train_options=loader_options(sampler, change, config["num_workers"]),
        test_options=loader_options(scored),
    )


def _unlabelled(run: Run, objective: Objective, teachers: TeacherFold, title: str, speech: Manifest) -> Speech:
    """One source of unlabelled speech with the teachers' outputs."""
    whole, use, views = run.unlabelled[title], run.sources[title], run.config["unlabelled_views"]
    outputs = transfer_fold(teachers, teacher_bank(run.config, whole, views), speech, use.standardise)
    groups = None
    if use.balance == "speakers":
        groups = [row.speaker for row in speech]
    elif use.balance == "classes":
        groups = outputs.lookup(speech.ids, embeddings=False).mixture(temperature=1.0).argmax(dim=-1).tolist()
    return Speech(
        speech,
        AudioStore(whole, run.config["store_folder"]).waveform,
        _lookup(outputs, objective),
        views,
        run.attributes,
        labelled=False,
        weight=use.weight,
        chances=None if groups is None else equal_chances(groups),
    )


def _lookup(teachers: TeacherFold | None, objective: Objective) -> Callable | None:
    """(id, view, span) -> the teacher outputs that the losses read."""
    if teachers is None:
        return None
    wanted = {"embeddings": "embedding" in objective.reads, "frames": "frames" in objective.reads}
    return lambda utterance_id, view, span: teachers.lookup([utterance_id], view, spans=[span], **wanted)


@dataclass(frozen=True)
class Parts:
    """The objects of one training; ``proof`` is the result of ``leaks.audit``."""

    teachers: TeacherFold | None
    proof: dict[str, list[str]]
    student: torch.nn.Module
    objective: Objective
    data: Datasets


def build_parts(run: Run, student: torch.nn.Module | None = None) -> Parts:
    """Build everything, by default with a new student; ValueError if the split leaks."""
    teachers = build_teachers(run)
    proof = prove_split(run, teachers)
    student = build_student(run) if student is None else student
    objective = build_objective(run, student, teachers)
    return Parts(teachers, proof, student, objective, make_datasets(run, objective, teachers))


def prove_split(run: Run, teachers: TeacherFold | None) -> dict[str, list[str]]:
    """``leaks.audit`` of the run's split; ValueError names a leak."""
    models = {f"teacher {title}": spec for title, spec in (run.config["teachers"] or {}).items()}
    if (run.config["student"] or {}).get("source"):
        models["the pretrained student"] = run.config["student"]
    return audit(
        run.train,
        run.test,
        teachers,
        run.unlabelled_train,
        one_head=run.one_head,
        speaker_independent=run.config["speaker_independent"],
        models=models,
        augment=run.config["augment"],
        num_labelled=len(run.labelled),
        pretraining=pretraining_of(run.config.local(run.config["student"] or {})),
    )


def training_hparams(run: Run, folder: str | Path | None = None) -> dict:
    """The built settings of the YAML with ``seed``, ``epoch_counter``, ``checkpointer`` and ``train_logger``.

    ``folder`` is where the last two write, by default the run's.
    """
    hparams, folder = run.config.build(), Path(folder or run.folder)
    hparams.pop("debug", None)  # also the name of a SpeechBrain run option
    if run.config.precision != "fp16":  # its loss may overflow until the scale has adapted
        hparams.setdefault("nonfinite_patience", 0)
    loggers = sb.utils.train_logger
    try:
        if hparams["train_logger"] == "file":
            train_logger = loggers.FileTrainLogger(folder / "train_log.txt", precision=4)
        else:
            train_logger = loggers.TensorboardLogger(folder / "tensorboard")
    except ImportError:
        raise ImportError("train_logger: tensorboard is not installed; pip install tensorboard.") from None
    return hparams | {
        "seed": run.seed,
        "output_folder": str(folder),
        "epoch_counter": EpochCounter(hparams["number_of_epochs"]),
        "checkpointer": SafeCheckpointer(folder / FOLDER),
        "train_logger": train_logger,
    }


def save_results(run: Run, brain: DistillBrain, posteriors: Posteriors, parts: Parts) -> None:
    """Write the results of the run, by the main process alone, and delete its checkpoints."""
    if is_main():
        run.save(brain.kept, posteriors, brain.history, brain.seconds, parts.proof, parts.teachers)
        remove_checkpoints(run.folder)
    barrier()


def teacher_bank(config: Config, manifest: Manifest, views: int) -> TeacherBank:
    """The experiment's teachers on a corpus and its augmented copies."""
    specs = {title: config.local(spec) for title, spec in config["teachers"].items()}
    distill = (config["objective"] or {}).get("distill") or []
    frames = []
    if any("frames" in LOSSES.get(spec["name"]).reads for spec in distill):
        frames = [title for title, spec in specs.items() if TEACHERS.build(**spec).frame_rate_hz is not None]
    folder, device = config["store_folder"], config.run_opts.device or "cpu"
    return TeacherBank(specs, AudioStore(manifest, folder), folder, num_views=views + 1, frames=frames, device=device)


def fold_teachers(config: Config, manifest: Manifest, train_speakers, seed: int, one_head: bool = False) -> TeacherFold:
    """Heads of one set of training speakers, cross-fitted by single speakers or, for many, by the outer folds.

    With groups of the outer folds, the head that leaves out groups f and g serves the inner folds of both.
    """
    groups = [[speaker] for speaker in train_speakers] if len(train_speakers) <= FEW else config["outer_folds"]
    bank, kept = teacher_bank(config, manifest, config["views"]), labelled_ids(manifest, config["label_share"], seed)
    options = {"attributes": attributes_of(config, manifest), "labelled": np.array([i in kept for i in manifest.ids])}
    return bank.fold(train_speakers, groups, one_head=one_head, **options)
