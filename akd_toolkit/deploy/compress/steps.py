"""A finished run that can be trained on, the interface of a compression step, and the steps read from YAML."""

import inspect
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag
from torch import nn

from akd_toolkit.data.files import ONNX_FILE, written_aside
from akd_toolkit.data.manifest import load_waveforms
from akd_toolkit.data.unlabelled import find_unlabelled, hashes
from akd_toolkit.experiment.config import Config, load_config
from akd_toolkit.experiment.parts import build_parts, training_hparams
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.run import Run
from akd_toolkit.experiment.settings import Settings
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import plain, read, tags_in
from akd_toolkit.registry import Registry
from akd_toolkit.training.brain import DistillBrain

LEVELS = 3  # folders above an experiment in which its store and its recipe are looked for
COMPRESSIONS = Registry("compression", "akd_toolkit.compressions")
DEFAULT = [  # as in hparams/compress.yaml, which explains it
    {"name": "prune", "share": 0.2, "importance": "norm", "multiple": 8, "epochs": 16, "lr": 0.001},
    {"name": "quantize", "mode": "static", "utterances": 64},
]


@dataclass(frozen=True)
class Source:
    """A finished outer run to compress; its experiment's settings.yaml replaces the recipe.

    ``recipe.yaml`` is written to the output folder ``to`` when something is trained. ``store`` holds the teachers'
    outputs; None looks for one in the experiment's folder and the three above it.
    """

    experiment: Experiment
    run: PlannedRun
    to: Path
    store: Path | None = None

    @cached_property
    def heldout(self) -> dict[str, np.ndarray]:
        """Waveforms of the test speakers by ID, on which every step is scored."""
        return load_waveforms(self.run.tested(self.experiment.manifest), progress=False)

    @cached_property
    def config(self) -> Config:
        """The run's recipe with its chosen candidate."""
        settings = self.experiment.settings
        recipe = {key: value for key, value in settings.items() if key in Settings.model_fields}
        recipe |= {"candidates": [{}], "output_folder": str(self.to), "seeds": [self.run.seed]}
        recipe |= {"store_folder": str(self._store), "models_folder": self.experiment.plan.get("models_folder")}
        teachers = {title: self._found(title, spec) for title, spec in (settings.get("teachers") or {}).items()}
        recipe["teachers"] = teachers or None
        for tag, options in (settings.get("opt_class") or {}).items():  # {"!name:torch.optim.AdamW": its options}
            if re.fullmatch(r"!name:torch\.optim\.\w+", tag):
                recipe["opt_class"] = CommentedMap(options or {})
                recipe["opt_class"].yaml_set_ctag(Tag(suffix=tag))
        if tags := tags_in(recipe):
            raise ValueError(f"settings.yaml names {tags[0]}; only opt_class may name something, and of torch.optim.")
        file = self.to / "recipe.yaml"
        with written_aside(file) as aside, open(aside, "w", encoding="utf-8") as stream:
            stream.write(f"# The settings of {self.run.name}, from its experiment.\n")
            YAML().dump(recipe, stream)
        return load_config([str(file)]).overridden(self.run.record.candidate or {})

    def training(self, number: int, spec: dict, **changes) -> Run:
        """A training of a student with the options ``spec`` on the run's training speakers.

        The step's ``number`` changes the seed, so that no two steps see the windows in the same order.
        """
        planned = {field.name: getattr(self.run, field.name) for field in fields(self.run)}
        planned["seed"] += 1000 * number
        near = self._store.parent if self.store else self.experiment.folder
        wanted = hashes(self.experiment.settings)
        unlabelled = {title: find_unlabelled(near, one) for title, one in wanted.items()}
        missing = [wanted[title] for title, manifest in unlabelled.items() if manifest is None]
        if missing:
            raise FileNotFoundError(
                f"{self.experiment.folder} was trained with unlabelled speech (manifest {missing[0]}) that no store "
                "here describes; give the folder of its store with --store."
            )
        return Run(
            **planned,
            config=self.config.overridden({"student": spec, "head_decay": None, **changes}),
            manifest=self.experiment.manifest,
            overrides=self.run.record.candidate or {},
            unlabelled=unlabelled,
        )

    @property
    def _folders(self) -> list[Path]:
        folder = self.experiment.folder.resolve()
        return [folder, *list(folder.parents)[:LEVELS]]

    @cached_property
    def _store(self) -> Path:
        if self.store is not None:
            if not self.store.is_dir():
                raise FileNotFoundError(f"--store {self.store} is not a folder; give the store_folder of the recipe.")
            return self.store.resolve()
        folders = [place / "store" for place in self._folders]
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None and self.experiment.settings.get("teachers"):
            raise FileNotFoundError(
                f"there is no folder named store in or above {self.experiment.folder}, and training needs the "
                "teachers' outputs; give the recipe's store_folder with --store."
            )
        return found or folders[0]

    def _found(self, title: str, spec: dict) -> dict:
        """A teacher whose ``source``, if it is relative to the recipe's folder, is an absolute path."""
        given = str(spec.get("source", ""))
        if not given.startswith("."):
            return spec
        for place in (Path.cwd(), *self._folders):
            if (place / given).exists():
                return {**spec, "source": str((place / given).resolve())}
        raise FileNotFoundError(
            f"the source {given} of the teacher '{title}' exists neither here nor in or above {self._folders[0]}; run "
            "akd compress in the folder of the recipe."
        )


@dataclass(frozen=True)
class Work:
    """What a step works on."""

    source: Source  # the run that is compressed: its speech, objective and speakers
    student: nn.Module  # after the steps before, in evaluation mode; the step may change it in place
    spec: dict  # options of the student
    number: int  # of the step, from 1
    folder: Path  # for the step's files; a checkpoint there is resumed

    def train(self, student: nn.Module, spec: dict, epochs: int, lr: float, **changes) -> nn.Module:
        """``student`` after ``epochs`` under the run's objective and on its training speakers; unchanged for 0 epochs.

        ``lr`` is the peak of the learning rate, ``changes`` are other settings of the recipe. The objective's own
        weights start from scratch.
        """
        if epochs == 0:
            return student.eval()
        run = self.source.training(self.number, spec, number_of_epochs=epochs, **{"opt_class.lr": lr}, **changes)
        parts, hparams = build_parts(run, student), training_hparams(run, self.folder)
        modules, options = {"student": student, "objective": parts.objective}, run.config.brain_options()
        brain = DistillBrain(modules, hparams["opt_class"], hparams, options, hparams["checkpointer"])
        brain.fit(hparams["epoch_counter"], parts.data.train, train_loader_kwargs=parts.data.train_options)
        return brain.kept.cpu()


class Compression:
    """One step: it changes the student, or writes a file made from it, or both.

    A subclass is registered with ``COMPRESSIONS`` and sets ``example_options``, the smallest valid options. A step with
    a ``file`` must be among the last: steps that change weights cannot follow it.
    """

    example_options: dict = {}
    file: str | None = None  # name of the file that ``write`` makes of the exported FP32 student
    changes_student = False  # whether ``change`` is called

    def check(self, spec: dict) -> None:
        """Raise ValueError if the step cannot work on a student with these options; called before anything runs."""

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        """The changed student and its options."""
        raise NotImplementedError

    def write(self, work: Work, exported: Path, target: Path) -> None:
        """Write ``target``, made from the student's exported FP32 file."""
        raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """One step: its position from 1, its options with its registered ``name``, and what it does."""

    number: int
    spec: dict
    compression: Compression = field(repr=False)

    @property
    def title(self) -> str:
        """Such as ``1-prune``: its folder and its row in the table."""
        return f"{self.number}-{self.spec['name']}"

    @property
    def file(self) -> str:
        """The file in its folder that is measured: its own, or the changed student's."""
        return f"{self.title}/{self.compression.file or ONNX_FILE}"

    @property
    def whole_spec(self) -> dict:
        """The options including defaults."""
        parameters = inspect.signature(type(self.compression).__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return {"name": self.spec["name"], **defaults, **self.spec}

    @property
    def options(self) -> str:
        """The given options as text: ``share 0.2, epochs 16``."""
        return ", ".join(f"{key} {value}" for key, value in self.spec.items() if key != "name")


ORIGINAL = Step(0, {"name": "original"}, Compression())  # the run's own student, exported, so that all are measured


def read_steps(file: str | Path | None = None) -> list[Step]:
    """The steps that a YAML lists, by default ``DEFAULT``; FileNotFoundError or ValueError as of ``build_steps``."""
    if file is None:
        return build_steps(DEFAULT)
    tree = plain(read(file))
    unknown = [key for key in tree if key != "steps"]
    if unknown or not isinstance(tree.get("steps"), list) or not tree["steps"] or tags_in(tree["steps"]):
        raise ValueError(
            f"{file} must hold one key, steps, with a list such as [{{name: prune, share: 0.25}}], and no tags"
            f"{f'; it has {unknown[0]}' if unknown else ''}."
        )
    return build_steps(tree["steps"], str(file))


def build_steps(specs: list[dict], where: str = "steps") -> list[Step]:
    """Build every step; ValueError if one or an option is unknown or out of range, or they cannot follow each other.

    Example
    -------
    >>> [step.title for step in build_steps([{"name": "prune"}, {"name": "fp16"}, {"name": "quantize"}])]
    ['1-prune', '2-fp16', '3-quantize']
    """
    steps: list[Step] = []
    for number, spec in enumerate(specs, start=1):
        if not isinstance(spec, dict) or "name" not in spec:
            known = ", ".join(COMPRESSIONS.names())
            raise ValueError(f"{where}: step {number} must be a mapping with a name; known: {known}.")
        try:
            step = Step(number, spec, COMPRESSIONS.build(**spec))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: step {number} ({spec['name']}): {error}") from None
        files = [earlier for earlier in steps if earlier.compression.file]
        if files and step.compression.file is None:
            raise ValueError(
                f"{where}: step {number} ({spec['name']}) cannot follow {files[0].title}, whose file has no weights to "
                "train; put it before."
            )
        steps.append(step)
    return steps
