"""A compression as YAML tells it: which steps, in which order, with which options."""

import inspect
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression
from akd_toolkit.experiment.yaml_tree import plain, read, tags_in

DEFAULT = "default.yaml"  # the same as hparams/compress.yaml


@dataclass(frozen=True)
class Step:
    """One step of a pipeline.

    Arguments
    ---------
    number
        Its place, from 1.
    spec
        ``{name: registered compression, its options}``.
    compression
        What it does.
    """

    number: int
    spec: dict
    compression: Compression = field(repr=False)

    @property
    def title(self) -> str:
        """Such as ``1-prune``; names its folder and its row."""
        return f"{self.number}-{self.spec['name']}"

    @property
    def whole_spec(self) -> dict:
        """The same with the options that were left at their defaults."""
        defaults = inspect.signature(type(self.compression).__init__).parameters.values()
        told = {p.name: p.default for p in defaults if p.default is not p.empty}
        return {"name": self.spec["name"], **told, **self.spec}

    @property
    def options(self) -> str:
        """What was asked of it, for people: ``share 0.2, epochs 16``."""
        return ", ".join(f"{key} {value}" for key, value in self.spec.items() if key != "name")


def read_steps(file: str | Path | None = None) -> list[Step]:
    """The steps that a YAML lists; without one, those of ``hparams/compress.yaml``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a step or an option is unknown or out of range, or the order makes no sense.
    """
    if file is None:
        with resources.as_file(resources.files("akd_toolkit.deploy.compress") / DEFAULT) as packaged:
            return read_steps(packaged)
    tree = plain(read(file))
    unknown = [key for key in tree if key != "steps"]
    if unknown or not isinstance(tree.get("steps"), list) or not tree["steps"] or tags_in(tree["steps"]):
        raise ValueError(
            f"{file} must hold one key, steps, with a list such as [{{name: prune, share: 0.25}}], and no tags"
            f"{f'; it has {unknown[0]}' if unknown else ''}."
        )
    return build_steps(tree["steps"], str(file))


def build_steps(specs: list[dict], where: str = "steps") -> list[Step]:
    """Check and build every step.

    Example
    -------
    >>> [step.title for step in build_steps([{"name": "prune"}, {"name": "fp16"}, {"name": "quantize"}])]
    ['1-prune', '2-fp16', '3-quantize']
    >>> build_steps([{"name": "quantize"}, {"name": "prune"}])
    Traceback (most recent call last):
    ValueError: steps: step 2 (prune) cannot follow step 1 (quantize): its file has no weights to train; put it before.
    """
    steps: list[Step] = []
    for number, spec in enumerate(specs, start=1):
        if not isinstance(spec, dict) or "name" not in spec:
            known = ", ".join(COMPRESSIONS.names())
            raise ValueError(f"{where}: step {number} must be a mapping with a name; known: {known}.")
        try:
            compression = COMPRESSIONS.build(**spec)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: step {number} ({spec['name']}): {error}") from None
        made = next((step for step in steps if step.compression.file), None)
        if made is not None and compression.file is None:
            raise ValueError(
                f"{where}: step {number} ({spec['name']}) cannot follow step {made.number} ({made.spec['name']}): its "
                "file has no weights to train; put it before."
            )
        steps.append(Step(number, spec, compression))
    return steps
