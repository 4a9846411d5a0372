"""A finished run as something that can be trained on: its own settings, its speech, its teachers' stored answers."""

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from akd_toolkit.data.files import written_aside
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.unlabelled import find_unlabelled
from akd_toolkit.evaluate.heldout import Heldout, heldout_speech
from akd_toolkit.experiment.config import Config, load_config
from akd_toolkit.experiment.plan import PlannedRun
from akd_toolkit.experiment.run import Run
from akd_toolkit.experiment.settings import Settings
from akd_toolkit.experiment.stored import Experiment

LEVELS = 3  # how far above an experiment its store and its recipe's folder are looked for
RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Source:
    """A finished outer run that is to be compressed.

    Everything that defines the run's result stands in its experiment's settings.yaml, so that steps which train need
    no recipe: the same objective, the same teachers, the same training speakers.

    Arguments
    ---------
    experiment, run
        As ``Experiment.of_run`` tells them.
    to
        Where steps go; ``recipe.yaml`` is written there when something is trained.
    store
        Folder with the teachers' answers; None looks for one in the experiment's folder and in the three above it.
    """

    experiment: Experiment
    run: PlannedRun
    to: Path
    store: Path | None = None

    @cached_property
    def weights_hash(self) -> str:
        """Of the student at the beginning, 12 hex digits."""
        return hashlib.sha256(self.run.paths.weights.read_bytes()).hexdigest()[:12]

    @cached_property
    def heldout(self) -> Heldout:
        """The speech that every step is scored on, and that none hears before."""
        return heldout_speech(self.experiment, self.run, progress=False)

    @cached_property
    def config(self) -> Config:
        """The run's recipe with the candidate that was chosen for it."""
        file = self.to / RECIPE
        with written_aside(file) as aside, open(aside, "w", encoding="utf-8") as stream:
            stream.write(f"# The settings of {self.run.name}, as its experiment kept them.\n")
            YAML().dump(self._recipe(), stream)
        return load_config([str(file)]).overridden(self.run.record.candidate or {})

    def training(self, number: int, spec: dict, **changes) -> Run:
        """A training on the run's training speakers, of a student with the options ``spec``.

        ``number`` (of the step) moves the seed, so that no step hears the windows of another in the same order.
        """
        config = self.config.overridden({"student": spec, "head_decay": None, **changes})
        planned = {one.name: getattr(self.run, one.name) for one in fields(self.run)}
        planned["seed"] += 1000 * number
        manifest, overrides = self.experiment.manifest, self.run.record.candidate or {}
        return Run(**planned, config=config, manifest=manifest, overrides=overrides, unlabelled=self._unlabelled)

    @cached_property
    def _unlabelled(self) -> Manifest | None:
        wanted = self.experiment.settings.get("unlabelled_hash")
        if wanted is None:
            return None
        found = find_unlabelled(self._store.parent if self.store else self.experiment.folder, wanted)
        if found is None:
            raise FileNotFoundError(
                f"{self.experiment.folder} was trained with speech without labels (manifest {wanted}) that no store at "
                "hand describes; give the folder of its store with --store."
            )
        return found

    @cached_property
    def _store(self) -> Path:
        if self.store is not None:
            if not self.store.is_dir():
                raise FileNotFoundError(f"--store {self.store} is not a folder; give the store_folder of the recipe.")
            return self.store.resolve()
        folders = [place / "store" for place in self._around()]
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None and self.experiment.settings.get("teachers"):
            raise FileNotFoundError(
                f"no folder named store lies in or above {self.experiment.folder}, and steps that train need what the "
                "teachers said; give the recipe's store_folder with --store."
            )
        return found or folders[0]

    def _around(self) -> list[Path]:
        folder = self.experiment.folder.resolve()
        return [folder, *list(folder.parents)[:LEVELS]]

    def _recipe(self) -> CommentedMap:
        kept = {key: value for key, value in self.experiment.settings.items() if key in Settings.model_fields}
        places = {"output_folder": str(self.to), "store_folder": str(self._store), "seeds": [self.run.seed]}
        teachers = {title: self._at_hand(title, spec) for title, spec in (kept.get("teachers") or {}).items()}
        kept |= {"teachers": teachers or None, "candidates": [{}], **places}
        kept["models_folder"] = self.experiment.plan.get("models_folder")
        return CommentedMap({key: _with_tags(value, key) for key, value in kept.items()})

    def _at_hand(self, title: str, spec: dict) -> dict:
        """A teacher whose relative ``source`` is made absolute: it was written in the recipe's folder."""
        given = str(spec.get("source", ""))
        if not given.startswith("."):
            return spec
        for place in (Path.cwd(), *self._around()):
            if (place / given).exists():
                return {**spec, "source": str((place / given).resolve())}
        raise FileNotFoundError(
            f"the source {given} of the teacher '{title}' is found neither from here nor from a folder above "
            f"{self.experiment.folder}; call akd compress in the folder of the recipe."
        )


def _with_tags(value, key: str):
    """Plain settings with their tags as HyperPyYAML reads them; an optimiser of torch's is the only one allowed."""
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
