"""Every setting of a recipe's YAML, declared once with its type, range, default and meaning.

To add one: a line in the right class below, a line in the YAMLs that use it, then ``python tools/settings_page.py``.
``config["key"]`` and a training's ``hparams["key"]`` then always hold a value.
"""

import contextlib
import inspect
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field

import akd_toolkit.data.augment
import akd_toolkit.models
import akd_toolkit.teachers  # noqa: F401  (importing these registers their plugins)
from akd_toolkit.data.augment import Mixup
from akd_toolkit.data.draws import Sampling
from akd_toolkit.data.files import is_hub_name
from akd_toolkit.data.unlabelled import Source, titled
from akd_toolkit.declared import Plugin, Section
from akd_toolkit.distill.objective_spec import ObjectiveSpec
from akd_toolkit.registry import AUGMENTATIONS, STUDENTS, TEACHERS

Overrides = dict[str, Any]  # dotted key -> value


def setting(default, description: str, **limits):
    """A key of a section; the default ``...`` means required."""
    return Field(default, description=description, **limits)


class StudentPart(Plugin):
    registry, filled_in, stand_ins = STUDENTS, ("num_classes",), {"num_classes": 2}

    def try_out(self) -> None:
        """Not built if it starts from a pretrained model, which may be a download."""
        source = self.options.get("source")
        if source is None:
            with torch.random.fork_rng([]):
                super().try_out()
        elif not Path(source).is_dir() and not is_hub_name(source):
            raise ValueError(f"source '{source}' does not exist; give a folder, or owner/name on the hub")


class TeacherPart(Plugin):
    registry, stand_ins = TEACHERS, {}

    def try_out(self) -> None:
        """Not built if it needs weights or a missing package, which are looked for later."""
        if "source" not in inspect.signature(self.plugin).parameters:
            with contextlib.suppress(ImportError):
                super().try_out()


class AugmentationPart(Plugin):
    registry, stand_ins = AUGMENTATIONS, {}


class Row(Section):
    """A row of an ablation."""

    title: str = setting(..., "its name (and that of its folder), with letters or digits", pattern="[a-zA-Z0-9]")
    group: str = setting("", "heading in the table; by default that of the previous row")
    against: str | None = setting(None, "title of the row to compare it with")
    with_: str | None = setting(None, "files of settings, separated by commas", alias="with")
    set_: Overrides | None = setting(None, "overrides, over those of the files", alias="set")


def _optimiser(node: dict) -> dict:
    """Build it once to find wrong values; unknown classes and options are found by the check of tags."""
    ((tag, options),) = node.items() if len(node) == 1 else [("", {})]
    if not tag.startswith("!name:"):
        raise ValueError("it must be one optimiser with its options, such as !name:torch.optim.AdamW {lr: 0.001}")
    kind = pydoc.locate(tag.removeprefix("!name:"))
    try:
        kind and kind([torch.nn.Parameter(torch.zeros(1))], **(options or {}))
    except (ValueError, TypeError, LookupError) as error:
        text = [key for key, value in (options or {}).items() if isinstance(value, str)]
        if text and isinstance(error, TypeError):
            raise ValueError(f"{text[0]}: got '{options[text[0]]}'; it must be a number") from None
        raise ValueError(f"{type(error).__name__}, {error}") from None
    return node


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Speakers = Annotated[list[str], Field(min_length=1)]
Optimiser = Annotated[Overrides, AfterValidator(_optimiser)]


class Start(Section):
    """Where and how much to run; these may differ between two starts of the same experiment."""

    data_folder: str | None = setting(None, "folder of the corpus; null downloads it, where that is allowed")
    output_folder: str = setting(..., "folder for this experiment")
    store_folder: str = setting(..., "folder for teacher features, shared by experiments")
    results_file: str | None = setting(None, "CSV file to which one row per experiment is added")
    models_folder: str | None = setting(None, "searched before the hub: owner/name folders, or a models.yaml")
    unlabelled: str | dict[str, str] | None = setting(
        None, "unlabelled speech: a folder, or mixtures, which are made from the corpus; or several, title: folder"
    )
    seeds: list[Seed] = setting(..., "one whole protocol for each", min_length=1)
    folds: int | None = setting(None, "how many of the outer folds to run; null runs all", ge=1)
    rows: list[Row] | None = setting(None, "the rows of an ablation", min_length=1)
    only: list[str] | None = setting(None, "titles of the rows to run; null runs all", min_length=1)
    only_run: str | None = setting(None, "train and score this split alone, such as seed17/fold1/outer")
    jobs: int = setting(1, "trainings side by side", ge=1)
    threads: int = setting(1, "CPU threads of one training", ge=1, le=1024)
    num_workers: int = setting(0, "processes that prepare batches for each training; 0: its own process", ge=0)
    backend: Literal["local", "ray"] = setting("local", "the cores of this machine, or those of a Ray cluster")
    valid_every: int = setting(1, "epochs between validations on the held-out speakers of an inner fold; 0: none", ge=0)
    checkpoints: int = setting(2, "how many checkpoints of an unfinished training are kept", ge=1)
    save_every_s: float = setting(20.0, "seconds from one checkpoint to the next; at the ends of epochs", ge=0)
    train_logger: Literal["file", "tensorboard"] = setting("file", "log of each epoch, in addition to metrics.csv")
    debug: Overrides = setting({}, "what --debug changes")


class Protocol(Section):
    """What is compared; defines the result, and candidates cannot change it."""

    corpus: str = setting(..., "name of the corpus")
    prepare: Overrides = setting({}, "options of the recipe's prepare function")
    label_order: list[str] = setting(..., "class names in the order of the logits", min_length=2)
    speaker_independent: bool = setting(True, "false for a corpus without speaker labels, which marks its results")
    label_share: float = setting(1.0, "share of the training utterances that keep their label", gt=0, le=1)
    outer_folds: list[Speakers] = setting(..., "groups of speakers that are tested together", min_length=2)
    candidates: list[Overrides] = setting([{}], "overrides that the inner folds choose from", min_length=1)


class Training(Section):
    """The parts of a training; defines the result, and candidates may change it."""

    attributes: list[str] | None = setting(None, "dimensional labels that are learned, such as valence", min_length=1)
    window_s: float | None = setting(None, "longest window in seconds, in training and in test", gt=0.1, le=30)
    test_overlap_s: float | None = setting(None, "seconds that neighbouring test windows share, below window_s", ge=0)
    views: int = setting(0, "augmented copies of each training utterance, also for the teachers", ge=0)
    unlabelled_ratio: float = setting(1.0, "unlabelled windows for each labelled one in a batch", gt=0)
    unlabelled_views: int = setting(0, "augmented copies of each unlabelled utterance", ge=0)
    sources: dict[str, Source] = setting({}, "title: how a source of unlabelled speech is used")
    augment: list[AugmentationPart] | None = setting(None, "augmentations of the training sound, in this order")
    mixup: Mixup | None = setting(None, "pairs of utterances mixed")
    sampling: Sampling | None = setting(None, "how often each utterance is drawn in an epoch; null is natural")
    teachers: dict[str, TeacherPart] | None = setting(None, "title: teacher; a null teacher is left out")
    soft_targets: Literal["cross_fitted", "one_head"] = setting("cross_fitted", "which heads the losses imitate")
    student: StudentPart | None = setting(None, "the model to train; null scores the teachers alone")
    objective: ObjectiveSpec | None = setting(None, "what the student is trained on")
    number_of_epochs: int | None = setting(None, "passes over the training speech", ge=0)
    batch_size: int | None = setting(None, "labelled windows of a batch", ge=1)
    opt_class: Optimiser | None = setting(None, "the optimiser, such as !name:torch.optim.AdamW {lr: 0.001}")
    warmup: float = setting(0.0, "share of all steps over which the learning rate rises", ge=0, le=1)
    weight_average: float = setting(0.0, "decay of averaged weights; 0 keeps the last ones", ge=0, lt=1)
    head_decay: float | None = setting(None, "decay of a head that is fitted before training; null fits none", ge=0)
    precision: Literal["fp32", "bf16", "fp16"] = setting("fp32", "of training, never of scoring; fp16 on a GPU only")


class Settings(Start, Protocol, Training):
    """All settings of a recipe."""

    def problems(self) -> Iterator[str]:
        student, losses = self.student, self.objective.losses if self.objective else []
        distills = bool(self.objective and self.objective.distill)
        if not student and not self.teachers:
            yield "there is neither a student nor a teacher; give at least one"
        for key in ("objective", "number_of_epochs", "batch_size", "opt_class", "window_s", "test_overlap_s"):
            if student and getattr(self, key) is None:
                yield f"setting '{key}' is missing, which a student needs: {Training.model_fields[key].description}"
        for title in [title for title in self.teachers or () if not title or "/" in title]:
            yield f"teachers: the title '{title}' names files and must not contain '/'; give it a short name"
        if student and distills and not self.teachers:
            yield "objective.distill needs teachers; add some or set objective.distill to null"
        if student and self.objective and self.teachers and not distills:
            yield "there are teachers but no objective.distill to learn from them; set teachers to null or add a loss"
        if self.unlabelled and not self.teachers:
            yield "unlabelled speech needs teachers to label it; add some or set unlabelled to null"
        for number, loss in enumerate((self.objective and self.objective.distill) or ()):
            if loss.speech == "unlabelled" and not self.unlabelled and self.label_share == 1:
                yield f"objective.distill.{number}.speech is unlabelled and there is none; set it to all, or give some"
        titles = titled(self.unlabelled)
        for title in [title for title in self.sources if titles and title not in titles]:
            yield f"sources: '{title}' is not a title of unlabelled ({', '.join(titles)})"
        if titles and not any(self.sources.get(title, Source()).weight for title in titles):
            yield "sources: every weight is 0; set unlabelled to null, or raise one"
        if self.folds and self.folds > len(self.outer_folds):
            yield f"folds: got {self.folds}; there are {len(self.outer_folds)} outer_folds"
        if len(set(self.seeds)) < len(self.seeds):
            yield f"seeds: got {self.seeds}; give each seed once"
        if self.only and not self.rows:
            yield f"only: got {self.only}, but this recipe has no rows; leave it out"
        if self.window_s and self.test_overlap_s and self.test_overlap_s >= self.window_s:
            yield f"test_overlap_s: got {self.test_overlap_s}; it must be below window_s ({self.window_s})"
        if student and hasattr(student.plugin, "parameter_groups") and "lr" not in str(self.opt_class):
            yield "opt_class needs lr: each part of the student has its own share of it"
        framed = [loss.name for loss in losses if "frames" in getattr(loss.plugin, "reads", ())]
        if framed and self.head_decay is not None:
            yield f"head_decay fits the head on whole utterances, and '{framed[0]}' reads frames; take one of them out"
        if student and not hasattr(student.plugin, "fit_head"):
            if self.head_decay is not None:
                yield f"head_decay: '{student.name}' cannot fit its head before training; set it to null"
            if self.number_of_epochs == 0:
                yield f"number_of_epochs is 0 and '{student.name}' cannot fit its head; give at least 1"
        if student:
            # A saved student, which has no source, is fitted already.
            fitted = student.options.get("ranks") and student.options.get("source")
            if fitted and self.head_decay is None:
                yield f"head_decay is null and '{student.name}' has parts that only fitting sets; give a number"
        sampling = self.sampling.name if self.sampling else "natural"
        acting = {"augment": self.augment, "mixup": self.mixup}
        for key in [key for key, value in acting.items() if value and self.number_of_epochs == 0]:
            yield f"{key} acts on training epochs, and number_of_epochs is 0; set {key} to null"
        balanced = [loss.name for loss in losses if loss.options.get("balanced")]
        if balanced and sampling == "class_balanced":
            yield f"sampling class_balanced and balanced of '{balanced[0]}' both lift rare classes; take one out"
        unmixed = [loss.name for loss in losses if not getattr(loss.plugin, "mixes", True)]
        if unmixed and self.mixup:
            yield f"mixup: the loss '{unmixed[0]}' is not defined for a mixture of two utterances; take one of them out"
        if self.batch_size == 1 and self.mixup:
            yield "mixup needs another utterance to mix with, and batch_size is 1; give at least 2"


def defines_result(key: str) -> bool:
    """Whether experiments that differ in ``key`` are different; keys such as ``__parts`` only serve references."""
    return key not in Start.model_fields and not key.startswith("__")


def is_fixed(key: str) -> bool:
    """Whether all trainings of an experiment share the value, so that a candidate cannot change it."""
    return key in {**Start.model_fields, **Protocol.model_fields}


def with_defaults(settings: dict) -> dict:
    """The settings, with the default of each absent one.

    Example
    -------
    >>> with_defaults({"views": 3})["views"], with_defaults({})["precision"]
    (3, 'fp32')
    """
    fields = Settings.model_fields.items()
    return {**{key: field.get_default() for key, field in fields if not field.is_required()}, **settings}
