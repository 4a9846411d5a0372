"""Every top-level setting that the toolkit reads from a recipe's YAML, with what it may be."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What a value may be, in words for the message and as a test."""

    meaning: str
    allows: Callable = lambda value: True
    required: bool = False
    # False for what may differ between two starts of the same experiment: where it runs, and how much of it.
    defines_result: bool = True


def _count(lowest: int, highest: float = float("inf")) -> Callable:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _number(lowest: float, highest: float = float("inf"), above: bool = False) -> Callable:
    def allows(value):
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value < float("inf")
        return is_number and (lowest < value if above else lowest <= value) and value <= highest

    return allows


def _optional(allows: Callable) -> Callable:
    return lambda value: value is None or allows(value)


def _list_of(allows: Callable, shortest: int = 1) -> Callable:
    return lambda value: isinstance(value, list) and len(value) >= shortest and all(allows(item) for item in value)


def _is(kind: type) -> Callable:
    return lambda value: isinstance(value, kind)


ROW_KEYS = {"title", "group", "against", "with", "set"}


_text = _is(str)
_mapping = _is(dict)

SETTINGS = {
    # data
    "corpus": Setting("a corpus name", _text, required=True),
    "data_folder": Setting("a folder, or null to download the corpus", _optional(_text), defines_result=False),
    "output_folder": Setting("a folder for this experiment", _text, required=True, defines_result=False),
    "store_folder": Setting("a folder for teacher features", _text, required=True, defines_result=False),
    "results_file": Setting("a CSV file that collects one row an experiment", _optional(_text), defines_result=False),
    "prepare": Setting("a mapping of options for the recipe's prepare function", _mapping),
    "label_order": Setting("a list of at least two class names", _list_of(_text, 2), required=True),
    "attributes": Setting(
        "a list of dimensional labels that the manifest has, such as [valence, arousal], or null",
        _optional(_list_of(_text)),
    ),
    "unlabelled": Setting(
        "a folder of other people's speech, 'mixtures' or null", _optional(_text), defines_result=False
    ),
    "unlabelled_ratio": Setting("unlabelled windows for each labelled one, a number above 0", _number(0, above=True)),
    "unlabelled_views": Setting("a count of augmented copies of each unlabelled utterance, from 0", _count(0)),
    # protocol
    "seeds": Setting(
        "a list of integers from 0 to 2^32 - 1, one whole protocol each",
        _list_of(_count(0, 2**32 - 1)),
        True,
        defines_result=False,
    ),
    "outer_folds": Setting("a list of speaker groups", _list_of(_list_of(_text), 2), required=True),
    "speaker_independent": Setting("true, or false for a corpus that does not say who speaks", _is(bool)),
    "folds": Setting(
        "how many of the outer folds to run, from 1, or null for all", _optional(_count(1)), defines_result=False
    ),
    "candidates": Setting("a list of mappings of overrides", _list_of(_mapping, 0)),
    "rows": Setting(
        "a list of the rows of an ablation, {title, group, against, with: file of settings, set: {overrides}}",
        _list_of(_mapping),
        defines_result=False,
    ),
    "only": Setting("a list of titles of rows, or null for all", _optional(_list_of(_text)), defines_result=False),
    "jobs": Setting("how many trainings run side by side, from 1", _count(1), defines_result=False),
    "backend": Setting(
        "local (the cores of this machine) or ray (the machines of a Ray cluster)",
        lambda value: value in ("local", "ray"),
        defines_result=False,
    ),
    "threads": Setting("how many threads each training uses, 1 to 1024", _count(1, 1024), defines_result=False),
    # windows
    "window_s": Setting("seconds above 0.1 and up to 30", _number(0.1, 30, above=True)),
    "test_overlap_s": Setting("seconds, at least 0 and below window_s", _number(0)),
    "views": Setting("a count of augmented copies of each training utterance, from 0", _count(0)),
    # what is done to training batches, see docs/augmentation.md
    "augment": Setting(
        "a list of augmentations of the training sound, [{name: ..., options}, ...], or null",
        _optional(_list_of(_mapping, 0)),
    ),
    "mixup": Setting("{alpha: 0.01 to 100, p: 0 to 1} or null", _optional(_mapping)),
    "sampling": Setting("{name: natural, class_balanced or speaker_balanced} or null", _optional(_mapping)),
    # models
    "teachers": Setting(
        "a mapping title -> {name: ..., options} or null for one that is left out; or null", _optional(_mapping)
    ),
    "models_folder": Setting(
        "a folder looked into before the hub, with models as owner/name or a models.yaml of their folders, or null",
        _optional(_text),
        defines_result=False,
    ),
    "soft_targets": Setting("cross_fitted or one_head", lambda value: value in ("cross_fitted", "one_head")),
    "student": Setting("{name: ..., options}, or null to score the teachers alone", _optional(_mapping)),
    "objective": Setting(
        "{task: {name, ...}, distill: [{name, ...}, ...], weighting: {name, ...}, gate: {name, ...}}",
        _optional(_mapping),
    ),
    # optimisation
    "head_decay": Setting("null, or a decay >= 0 for a student whose head is fitted first", _optional(_number(0))),
    "number_of_epochs": Setting("a count from 0", _count(0)),
    "batch_size": Setting("a count from 1", _count(1)),
    "opt_class": Setting("!name: of an optimiser", _mapping),
    "precision": Setting("fp32, bf16 or fp16", lambda value: value in ("fp32", "bf16", "fp16")),
    "warmup": Setting("a share of all steps in [0, 1]", _number(0, 1)),
    "weight_average": Setting("a decay in [0, 1); 0 turns averaging off", _number(0, 0.99999)),
    "debug": Setting("a mapping of overrides for --debug", _mapping, defines_result=False),
}
