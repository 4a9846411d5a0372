"""One training of the protocol: which speakers it hears, what it is made of, and what it leaves on disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.augment import build_augmentations, build_mixup, change_batch
from akd_toolkit.data.batches import Batch, Speech, TrainBatches, scoring_batches
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.sampling import sampling_of
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.experiment.config import Config
from akd_toolkit.experiment.leaks import audit
from akd_toolkit.experiment.scores_file import make_scores, read_scores, write_scores
from akd_toolkit.metrics.scores import ua
from akd_toolkit.models.storage import save_student
from akd_toolkit.registry import GATES, LOSSES, STUDENTS, TEACHERS
from akd_toolkit.teachers import TeacherBank, TeacherFold, answers_on
from akd_toolkit.training.front_end import check_front_end

FEW = 8  # training speakers, up to which cross-fitting leaves out one at a time


@dataclass(frozen=True)
class Run:
    """One training: it hears ``train_speakers`` and is scored on ``test_speakers``.

    Arguments
    ---------
    config
        The recipe with this run's candidate.
    name
        ``seed17/fold1/outer`` or ``seed17/fold1/inner2-candidate1``: its folder below the experiment's.
    candidate
        The overrides that make the candidate; kept with the student.
    unlabelled
        Speech without labels, or None.
    """

    config: Config
    manifest: Manifest
    name: str
    seed: int
    fold: int
    candidate: dict
    train_speakers: tuple[str, ...]
    test_speakers: tuple[str, ...]
    unlabelled: Manifest | None = None

    @property
    def folder(self) -> Path:
        return Path(self.config["output_folder"]) / self.name

    @property
    def done(self) -> bool:
        return (self.folder / "scores.csv").is_file()

    @cached_property
    def hparams(self) -> dict:
        """The settings, objects built afresh."""
        return self.config.build()

    @cached_property
    def train(self) -> Manifest:
        return self.manifest.of(self.train_speakers)

    @cached_property
    def test(self) -> Manifest:
        return self.manifest.of(self.test_speakers)

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Dimensional labels that are learned beside the emotion; none where the YAML lists none."""
        return attributes_of(self.config, self.manifest)

    @cached_property
    def teachers(self) -> TeacherFold | None:
        """The fold's teachers: their heads have heard no test speaker."""
        if not self.hparams.get("teachers"):
            return None
        return fold_teachers(self.config, self.manifest, self.train_speakers, self.one_head)

    @property
    def one_head(self) -> bool:
        """Whether losses imitate the head that has heard all training speakers."""
        return self.config.get("soft_targets") == "one_head"

    @cached_property
    def student(self) -> torch.nn.Module:
        torch.manual_seed(self.seed)
        spec = self.config.local(self.hparams["student"])
        student = STUDENTS.build(**spec, num_classes=len(self.manifest.label_order))
        if self.attributes:
            student.add_attributes(len(self.attributes), *self._attribute_scale())
        check_front_end(student, build_augmentations(self.hparams.get("augment"), stage="features"))
        return student

    def _attribute_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each attribute over the training utterances, [A]."""
        values = self.train.attribute_values(self.attributes)
        for name, known in zip(self.attributes, ~np.isnan(values).all(axis=0)):
            if not known:
                raise ValueError(
                    f"attributes: no utterance of the training speakers {', '.join(self.train_speakers)} has {name}; "
                    "put other speakers into the fold, or leave it out."
                )
        deviation = np.nanstd(values, axis=0)
        return np.nanmean(values, axis=0), np.where(deviation > 0, deviation, 1.0)

    @cached_property
    def objective(self) -> torch.nn.Module:
        dims = self.student.output_dims()
        torch.manual_seed(self.seed + 1)
        return build_objective(
            self.hparams["objective"],
            num_classes=len(self.manifest.label_order),
            class_counts=np.bincount(self.train.labels, minlength=len(self.manifest.label_order)).tolist(),
            num_attributes=len(self.attributes),
            **dims,
            num_teachers=len(self.teachers or ()),
            teacher_embedding_dims=[] if self.teachers is None else self.teachers.embedding_dims,
            teacher_frame_dims=[] if self.teachers is None else self.teachers.frame_dims,
            teacher_accuracies=self._teacher_accuracies(),
        )

    def _teacher_accuracies(self) -> list[float]:
        """UA of each teacher on the training speakers, each answered by a head that had not heard that speaker."""
        if self.teachers is None:
            return []
        logits = self.teachers.lookup(self.train.ids, embeddings=False).logits
        return [ua(self.train.labels, answers.argmax(dim=-1).numpy()) for answers in logits]

    @cached_property
    def train_batches(self) -> TrainBatches:
        views = self.hparams.get("views", 0)
        unlabelled = None
        if self.unlabelled_train is not None:
            more = self.hparams.get("unlabelled_views", 0)
            answers = answers_on(teacher_bank(self.config, self.unlabelled, more), self.teachers, self.unlabelled_train)
            sound = AudioStore(self.unlabelled, self.config["store_folder"]).waveform
            unlabelled = Speech(self.unlabelled_train, sound, self._lookup(answers), more)
        return TrainBatches(
            Speech(self.train, self._audio.waveform, self._lookup(self.teachers), views),
            window_s=self.hparams["window_s"],
            batch_size=self.hparams["batch_size"],
            seed=self.seed,
            unlabelled=unlabelled,
            unlabelled_ratio=self.hparams.get("unlabelled_ratio", 1.0),
            attributes=self.attributes,
            sampling=sampling_of(self.hparams.get("sampling")),
            change=self._change(),
        )

    def _change(self):
        """What is done to each training batch before the student hears it; None where the YAML asks for nothing."""
        augmentations = build_augmentations(self.hparams.get("augment"), stage="waveform")
        mixup = build_mixup(self.hparams.get("mixup"))
        if not augmentations and mixup is None:
            return None
        return partial(change_batch, augmentations=augmentations, mixup=mixup)

    @cached_property
    def unlabelled_train(self) -> Manifest | None:
        """Speech without labels, less that of speakers who are not trained on."""
        if self.unlabelled is None:
            return None
        mine = [speaker for speaker in self.unlabelled.speakers if speaker in self.train_speakers]
        return self.unlabelled.of(mine or self.unlabelled.speakers)

    @cached_property
    def audit(self) -> dict[str, list[str]]:
        """What can be proved of this run's split; a leak is refused."""
        known = self.config.get("speaker_independent", True)
        models = {f"teacher {title}": spec for title, spec in (self.config.get("teachers") or {}).items()}
        if (self.config.get("student") or {}).get("source"):
            models["the student's beginning"] = self.config["student"]
        return audit(
            self.train,
            self.test,
            self.teachers,
            self.unlabelled_train,
            one_head=self.one_head,
            speaker_independent=known,
            models=models,
            augment=self.config.get("augment"),
        )

    def _lookup(self, teachers: TeacherFold | None):
        """(ids, views, spans) -> what the teachers say, with no more than the losses read."""
        if teachers is None:
            return None
        wanted = {"embeddings": "embedding" in self.objective.reads, "frames": "frames" in self.objective.reads}
        return lambda ids, views, spans: teachers.lookup(ids, views, spans=spans, **wanted)

    @cached_property
    def _audio(self) -> AudioStore:
        return AudioStore(self.manifest, self.config["store_folder"])

    @property
    def test_batches(self) -> Iterator[Batch]:
        windows = [self.hparams[key] for key in ("window_s", "test_overlap_s", "batch_size")]
        return scoring_batches(self.test, self._audio.waveform, *windows)

    def keep(self, student: torch.nn.Module, posteriors: dict, history: list[dict], seconds: float) -> None:
        """Write what the run leaves: weights and settings of the student, metrics, and scores last of all."""
        save_student(
            self.folder,
            student,
            self.hparams["student"],
            self.manifest.label_order,
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_s=self.hparams["window_s"],
            test_overlap_s=self.hparams["test_overlap_s"],
            corpus=self.manifest.corpus,
            train_speakers=list(self.train_speakers),
            test_speakers=list(self.test_speakers),
            candidate=self.candidate,
            seconds=round(seconds, 1),
            **({"attributes": list(self.attributes)} if self.attributes else {}),
        )
        write_text_aside(self.folder / "audit.json", json.dumps(self.audit, indent=2) + "\n")
        if self.teachers is not None:
            self.teachers.write_heard(self.folder / "heads")
        write_text_aside(self.folder / "metrics.csv", pd.DataFrame(history).to_csv(index=False))
        write_scores(self.folder / "scores.csv", self._labelled(posteriors))
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def _labelled(self, posteriors: dict) -> pd.DataFrame:
        return label_posteriors(self.test, posteriors, self.fold, self.seed, self.attributes)

    def scores(self) -> pd.DataFrame:
        """What ``keep`` wrote."""
        return read_scores(self.folder / "scores.csv", self.manifest.label_order)

    def about(self) -> dict:
        """What ``keep`` wrote of the student."""
        return json.loads((self.folder / "student.json").read_text(encoding="utf-8"))


def attributes_of(config: Config, manifest: Manifest) -> tuple[str, ...]:
    """The dimensional labels that the YAML lists, in its order.

    Raises
    ------
    ValueError
        If the manifest lacks one, or the objective needs them and none is listed.
    """
    names, has = tuple(config.get("attributes") or ()), manifest.attribute_names
    missing = [name for name in names if name not in has]
    if missing:
        raise ValueError(
            f"attributes: no utterance of {manifest.corpus} has {missing[0]}; its manifest has "
            f"{', '.join(has) or 'none'}. List some of these, or none."
        )
    for key, registry in (("task", LOSSES), ("distill", LOSSES), ("gate", GATES)):
        specs = (config.get("objective") or {}).get(key) or []
        for spec in [specs] if isinstance(specs, dict) else specs:
            plugin = registry.get(spec["name"])
            if not names and (plugin.truth == "attributes" or "attributes" in getattr(plugin, "reads", ())):
                raise ValueError(
                    f"{registry.kind} '{spec['name']}' needs dimensional labels, and {manifest.corpus} has "
                    f"{', '.join(has) or 'none'}; list them in the setting 'attributes', or leave the {key} out."
                )
    if names and config.get("head_decay") is not None:
        raise ValueError("head_decay fits the head of the emotions alone; set it to null to learn attributes.")
    return names


def label_posteriors(
    test: Manifest, posteriors: dict, fold: int, seed: int, attributes: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Rows of scores.csv for posteriors, and attributes where they have any, by utterance id."""
    predicted = getattr(posteriors, "attributes", {})
    pairs = {}
    if attributes and predicted:
        values = np.stack([predicted[utterance_id] for utterance_id in test.ids])
        pairs = dict(zip(attributes, zip(test.attribute_values(attributes).T, values.T)))
    return make_scores(
        test.ids,
        [row.speaker for row in test],
        [row.emotion for row in test],
        np.stack([posteriors[utterance_id] for utterance_id in test.ids]),
        test.label_order,
        fold=fold,
        seed=seed,
        attributes=pairs,
    )


@lru_cache(maxsize=4)
def _bank(folder: str, specs: str, manifest: Manifest, views: int, frames: bool, device: str) -> TeacherBank:
    specs = json.loads(specs)
    with_frames = [title for title, spec in specs.items() if frames and has_frames(spec)]
    return TeacherBank(
        specs, AudioStore(manifest, folder), folder, num_views=views + 1, frames=with_frames, device=device
    )


def teacher_bank(config: Config, manifest: Manifest, views: int) -> TeacherBank:
    """The experiment's teachers over a corpus and its augmented copies; one bank a process."""
    distill = (config.get("objective") or {}).get("distill") or []
    frames = any("frames" in LOSSES.get(spec["name"]).reads for spec in distill)
    specs = json.dumps({title: config.local(spec) for title, spec in config["teachers"].items()})
    return _bank(config["store_folder"], specs, manifest, views, frames, config.run_opts.device or "cpu")


def has_frames(spec: dict) -> bool:
    """Whether a teacher has frames to show."""
    return TEACHERS.build(**spec).frame_rate_hz is not None


def fold_teachers(config: Config, manifest: Manifest, train_speakers, one_head: bool = False) -> TeacherFold:
    """Heads of one set of training speakers.

    Where these are few, cross-fitting leaves out one at a time: a head that misses one of eight errs less than one that
    misses two. Where there are many, it leaves out a group of the outer folds at a time, which has a second merit: the
    head that misses groups f and g serves fold f, fold g, and the inner folds of both.
    """
    groups = [[speaker] for speaker in train_speakers] if len(train_speakers) <= FEW else config["outer_folds"]
    bank = teacher_bank(config, manifest, config.get("views", 0))
    return bank.fold(train_speakers, groups, one_head=one_head, attributes=attributes_of(config, manifest))
