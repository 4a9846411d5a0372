"""The steps of a compression, read from YAML."""

import inspect
from dataclasses import dataclass, field
from pathlib import Path

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression
from akd_toolkit.experiment.yaml_tree import plain, read, tags_in

DEFAULT = Path(__file__).with_name("default.yaml")  # the same as hparams/compress.yaml


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
    def whole_spec(self) -> dict:
        """The options including defaults."""
        parameters = inspect.signature(type(self.compression).__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return {"name": self.spec["name"], **defaults, **self.spec}

    @property
    def options(self) -> str:
        """The given options as text: ``share 0.2, epochs 16``."""
        return ", ".join(f"{key} {value}" for key, value in self.spec.items() if key != "name")


def read_steps(file: str | Path | None = None) -> list[Step]:
    """The steps that a YAML lists; without one, those of ``hparams/compress.yaml``.

    FileNotFoundError if there is no such file; ValueError if a step or an option is unknown or out of range, or the
    steps cannot follow each other.
    """
    file = file or DEFAULT
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
        files = [step for step in steps if step.compression.file]
        if files and compression.file is None:
            raise ValueError(
                f"{where}: step {number} ({spec['name']}) cannot follow {files[0].title}, whose file has no weights to "
                "train; put it before."
            )
        steps.append(Step(number, spec, compression))
    return steps
