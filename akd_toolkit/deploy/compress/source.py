"""A finished run as something that can be trained on: its own settings, its speech, its teachers' stored outputs."""

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from akd_toolkit.data.files import written_aside
from akd_toolkit.data.unlabelled import find_unlabelled, hashes
from akd_toolkit.evaluate.evaluation import EvaluationSet, evaluation_set
from akd_toolkit.experiment.config import Config, load_config
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.run import Run
from akd_toolkit.experiment.settings import Settings
from akd_toolkit.experiment.stored import Experiment

LEVELS = 3  # folders above an experiment in which its store and its recipe are looked for


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
    def weights_hash(self) -> str:
        """Of the run's own student, 12 hex digits."""
        return hashlib.sha256(self.run.paths.weights.read_bytes()).hexdigest()[:12]

    @cached_property
    def heldout(self) -> EvaluationSet:
        """Speech of the test speakers, on which every step is scored."""
        return evaluation_set(self.experiment, self.run, progress=False)

    @cached_property
    def config(self) -> Config:
        """The run's recipe with its chosen candidate."""
        settings, places = self.experiment.settings, self._folders()
        recipe = {key: value for key, value in settings.items() if key in Settings.model_fields}
        recipe |= {"candidates": [{}], "output_folder": str(self.to), "seeds": [self.run.seed]}
        recipe |= {"store_folder": str(self._store), "models_folder": self.experiment.plan.get("models_folder")}
        recipe["teachers"] = {
            title: {**spec, **_absolute(title, spec, places)}
            for title, spec in (settings.get("teachers") or {}).items()
        } or None
        file = self.to / "recipe.yaml"
        with written_aside(file) as aside, open(aside, "w", encoding="utf-8") as stream:
            stream.write(f"# The settings of {self.run.name}, from its experiment.\n")
            YAML().dump(CommentedMap({key: _with_tags(value, key) for key, value in recipe.items()}), stream)
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

    def _folders(self) -> list[Path]:
        folder = self.experiment.folder.resolve()
        return [folder, *list(folder.parents)[:LEVELS]]

    @cached_property
    def _store(self) -> Path:
        if self.store is not None:
            if not self.store.is_dir():
                raise FileNotFoundError(f"--store {self.store} is not a folder; give the store_folder of the recipe.")
            return self.store.resolve()
        folders = [place / "store" for place in self._folders()]
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None and self.experiment.settings.get("teachers"):
            raise FileNotFoundError(
                f"there is no folder named store in or above {self.experiment.folder}, and training needs the "
                "teachers' outputs; give the recipe's store_folder with --store."
            )
        return found or folders[0]


def _absolute(title: str, spec: dict, places: list[Path]) -> dict:
    """The ``source`` of a teacher, which may be relative to the recipe's folder, as an absolute path."""
    given = str(spec.get("source", ""))
    if not given.startswith("."):
        return {}
    for place in (Path.cwd(), *places):
        if (place / given).exists():
            return {"source": str((place / given).resolve())}
    raise FileNotFoundError(
        f"the source {given} of the teacher '{title}' exists neither here nor in or above {places[0]}; run akd "
        "compress in the folder of the recipe."
    )


def _with_tags(value, key: str):
    """Plain settings with the tags of HyperPyYAML; only an optimiser of torch is allowed to have one."""
    if isinstance(value, list):
        return [_with_tags(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next((name for name in value if str(name).startswith("!")), None)
    if tag is None:
        return CommentedMap({name: _with_tags(below, key) for name, below in value.items()})
    if key != "opt_class" or not re.fullmatch(r"!name:torch\.optim\.\w+", tag):
        raise ValueError(f"settings.yaml: {key} names {tag}; only opt_class may name something, and of torch.optim.")
    node = CommentedMap(value[tag] or {})
    node.yaml_set_ctag(Tag(suffix=tag))
    return node
