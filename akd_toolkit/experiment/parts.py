"""What one training is made of: teachers, student, objective and batches, each built by one function from a ``Run``."""

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
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.distill.objective import Objective
from akd_toolkit.distill.objective import build_objective as build
from akd_toolkit.environment import sb
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.leaks import audit
from akd_toolkit.experiment.run import Run, attributes_of
from akd_toolkit.metrics.scores import ua
from akd_toolkit.models import Student
from akd_toolkit.outputs import Posteriors
from akd_toolkit.registry import LOSSES, STUDENTS, TEACHERS
from akd_toolkit.teachers import TeacherBank, TeacherFold, answers_on
from akd_toolkit.training.brain import DistillBrain
from akd_toolkit.training.checkpointer import FOLDER, SafeCheckpointer, remove_checkpoints
from akd_toolkit.training.front_end import check_front_end
from akd_toolkit.training.processes import barrier, is_main, main_process_first, rank_and_count

EpochCounter = sb.utils.epoch_loop.EpochCounter
FEW = 8  # training speakers, up to which cross-fitting leaves out one at a time


@main_process_first()
def build_teachers(run: Run) -> TeacherFold | None:
    """The teachers of the run's fold, whose heads are fitted on training speakers alone; None where it has none."""
    if not run.config["teachers"]:
        return None
    return fold_teachers(run.config, run.manifest, run.train_speakers, run.one_head)


def build_student(run: Run) -> Student:
    """The untrained student; its first weights depend on the run's seed alone."""
    hparams = run.config.build()
    torch.manual_seed(run.seed)
    student = STUDENTS.build(**run.config.local(hparams["student"]), num_classes=len(run.manifest.label_order))
    if run.attributes:
        student.add_attributes(len(run.attributes), *_attribute_scale(run))
    check_front_end(student, build_augmentations(hparams["augment"], stage="features"))
    return student


def build_objective(run: Run, student: Student, teachers: TeacherFold | None) -> Objective:
    """The objective of the run, fitted to the dimensions of its student and teachers."""
    train, num_classes = run.train, len(run.manifest.label_order)
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
        teacher_accuracies=_teacher_accuracies(train, teachers),
    )


@dataclass(frozen=True)
class Datasets:
    """What a run is trained, validated and scored on, and the options of the DataLoaders that make batches of it.

    ``valid`` holds the held-out speakers of an inner split and is None for the others.
    """

    train: WindowDataset
    valid: WindowDataset | None
    test: WindowDataset
    train_options: dict
    test_options: dict

    @property
    def loaders(self) -> dict:
        """The options as ``Brain.fit`` takes them."""
        return {"train_loader_kwargs": self.train_options, "valid_loader_kwargs": self.test_options}

    @property
    def whole(self) -> DataLoader:
        """Batches of the training utterances whole, for a student that fits its head at once."""
        draws = whole_draws(self.train.sources, self.train_options["batch_sampler"].batch_size)
        return DataLoader(self.train, **loader_options(draws))

    def train_loader(self) -> DataLoader:
        """Training batches of epoch 0, outside a Brain."""
        return DataLoader(self.train, **self.train_options)


@main_process_first()
def make_datasets(run: Run, objective: Objective, teachers: TeacherFold | None) -> Datasets:
    """Windows of the run's training speakers with the teachers' outputs, and of its test speakers."""
    config, audio = run.config, AudioStore(run.manifest, run.config["store_folder"])
    labelled = Speech(run.train, audio.waveform, _lookup(teachers, objective), config["views"], run.attributes)
    sources = [labelled, *_unlabelled_speech(run, objective, teachers)]
    sampler = TrainSampler(
        sources,
        window_s=config["window_s"],
        batch_size=config["batch_size"],
        seed=run.seed,
        unlabelled_ratio=config["unlabelled_ratio"],
        sampling=sampling_of(config["sampling"]),
        rank=rank_and_count()[0],
        num_processes=rank_and_count()[1],
    )
    scored = scoring_draws(run.test, *(config[key] for key in ("window_s", "test_overlap_s", "batch_size")))
    test = WindowDataset([Speech(run.test, audio.waveform, attributes=run.attributes)])
    return Datasets(
        train=WindowDataset(sources),
        valid=test if run.kind == "inner" else None,
        test=test,
        train_options=loader_options(sampler, _change(config), config["num_workers"]),
        test_options=loader_options(scored),
    )


@dataclass(frozen=True)
class Parts:
    """What one training is made of; ``proof`` is what could be proved of its split."""

    teachers: TeacherFold | None
    proof: dict[str, list[str]]
    student: torch.nn.Module
    objective: Objective
    data: Datasets


def build_parts(run: Run, student: torch.nn.Module | None = None) -> Parts:
    """Every part, the student as well where none is given; a leak is refused before anything is trained."""
    teachers = build_teachers(run)
    proof = prove_split(run, teachers)
    student = build_student(run) if student is None else student
    objective = build_objective(run, student, teachers)
    return Parts(teachers, proof, student, objective, make_datasets(run, objective, teachers))


def training_hparams(run: Run, folder: str | Path | None = None) -> dict:
    """The settings of the YAML, built, with what SpeechBrain needs for one training.

    Adds ``seed``, ``epoch_counter``, ``checkpointer`` and ``train_logger``. ``folder`` is where the last two write, by
    default the run's.
    """
    hparams, folder = run.config.build(), Path(folder or run.folder)
    hparams.pop("debug", None)  # here a section of the YAML, for SpeechBrain a run option
    if run.config.precision != "fp16":  # whose loss may overflow until its scale has adapted
        hparams.setdefault("nonfinite_patience", 0)
    return hparams | {
        "seed": run.seed,
        "output_folder": str(folder),
        "epoch_counter": EpochCounter(hparams["number_of_epochs"]),
        "checkpointer": SafeCheckpointer(folder / FOLDER),
        "train_logger": make_train_logger(hparams["train_logger"], folder),
    }


def make_train_logger(name: str, folder: Path) -> sb.utils.train_logger.TrainLogger:
    """The logger of a training: ``file`` writes train_log.txt, ``tensorboard`` a folder of that name.

    Raises
    ------
    ImportError
        If TensorBoard is asked for and not installed.
    """
    if name == "file":
        return sb.utils.train_logger.FileTrainLogger(folder / "train_log.txt", precision=4)
    try:
        return sb.utils.train_logger.TensorboardLogger(folder / "tensorboard")
    except ImportError:
        raise ImportError("train_logger: tensorboard is not installed; pip install tensorboard.") from None


def save_results(run: Run, brain: DistillBrain, posteriors: Posteriors, parts: Parts) -> None:
    """Write what the run leaves, by the main process alone; the checkpoints go."""
    if is_main():
        run.keep(brain.kept, posteriors, brain.history, brain.seconds, parts.proof, parts.teachers)
        remove_checkpoints(run.folder)
    barrier()


def prove_split(run: Run, teachers: TeacherFold | None) -> dict[str, list[str]]:
    """What can be proved of the run's split and what cannot; a leak is refused.

    Raises
    ------
    ValueError
        Naming the leak.
    """
    models = {f"teacher {title}": spec for title, spec in (run.config["teachers"] or {}).items()}
    if (run.config["student"] or {}).get("source"):
        models["the student's beginning"] = run.config["student"]
    return audit(
        run.train,
        run.test,
        teachers,
        run.unlabelled_train,
        one_head=run.one_head,
        speaker_independent=run.config["speaker_independent"],
        models=models,
        augment=run.config["augment"],
    )


def teacher_bank(config: Config, manifest: Manifest, views: int) -> TeacherBank:
    """The experiment's teachers over a corpus and its augmented copies."""
    distill = (config["objective"] or {}).get("distill") or []
    frames = any("frames" in LOSSES.get(spec["name"]).reads for spec in distill)
    specs = {title: config.local(spec) for title, spec in config["teachers"].items()}
    with_frames = [title for title, spec in specs.items() if frames and has_frames(spec)]
    folder, device = config["store_folder"], config.run_opts.device or "cpu"
    return TeacherBank(
        specs, AudioStore(manifest, folder), folder, num_views=views + 1, frames=with_frames, device=device
    )


def has_frames(spec: dict) -> bool:
    """Whether a teacher has frames."""
    return TEACHERS.build(**spec).frame_rate_hz is not None


def fold_teachers(config: Config, manifest: Manifest, train_speakers, one_head: bool = False) -> TeacherFold:
    """Heads of one set of training speakers.

    Where these are few, cross-fitting leaves out one at a time: a head that misses one of eight errs less than one that
    misses two. Where there are many, it leaves out a group of the outer folds at a time, which has a second merit: the
    head that misses groups f and g serves fold f, fold g, and the inner folds of both.
    """
    groups = [[speaker] for speaker in train_speakers] if len(train_speakers) <= FEW else config["outer_folds"]
    bank = teacher_bank(config, manifest, config["views"])
    return bank.fold(train_speakers, groups, one_head=one_head, attributes=attributes_of(config, manifest))


def _attribute_scale(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each attribute over the training utterances, [A]."""
    values = run.train.attribute_values(run.attributes)
    for name, known in zip(run.attributes, ~np.isnan(values).all(axis=0)):
        if not known:
            raise ValueError(
                f"attributes: no utterance of the training speakers {', '.join(run.train_speakers)} has {name}; "
                "put other speakers into the fold, or leave it out."
            )
    deviation = np.nanstd(values, axis=0)
    return np.nanmean(values, axis=0), np.where(deviation > 0, deviation, 1.0)


def _teacher_accuracies(train: Manifest, teachers: TeacherFold | None) -> list[float]:
    """UA of each teacher on the training speakers, by heads that were not fitted on the speaker in question."""
    if teachers is None:
        return []
    logits = teachers.lookup(train.ids, embeddings=False).logits
    return [ua(train.labels, answers.argmax(dim=-1).numpy()) for answers in logits]


def _unlabelled_speech(run: Run, objective: Objective, teachers: TeacherFold | None) -> list[Speech]:
    """The sources of speech without labels."""
    if run.unlabelled is None:
        return []
    config, views, manifest = run.config, run.config["unlabelled_views"], run.unlabelled_train
    outputs = answers_on(teacher_bank(config, run.unlabelled, views), teachers, manifest)
    audio = AudioStore(run.unlabelled, config["store_folder"])
    return [Speech(manifest, audio.waveform, _lookup(outputs, objective), views, run.attributes, labelled=False)]


def _lookup(teachers: TeacherFold | None, objective: Objective) -> Callable | None:
    """(id, view, span) -> teacher outputs, with no more than the losses read."""
    if teachers is None:
        return None
    wanted = {"embeddings": "embedding" in objective.reads, "frames": "frames" in objective.reads}
    return lambda utterance_id, view, span: teachers.lookup([utterance_id], view, spans=[span], **wanted)


def _change(config: Config) -> Callable | None:
    """What is done to each training batch before the student sees it; None where the YAML asks for nothing."""
    augmentations = build_augmentations(config["augment"], stage="waveform")
    mixup = build_mixup(config["mixup"])
    if not augmentations and mixup is None:
        return None
    return partial(change_batch, augmentations=augmentations, mixup=mixup)
