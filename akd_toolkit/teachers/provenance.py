"""On which corpora a pretrained model was trained, from the table ``provenance.yaml`` and the model's own card."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML
from yaml import YAMLError

FORMULAS = ("logmel_statistics", "opensmile")  # teachers without weights
KEYS = ("datasets", "base_model")  # of the head of a model card


@dataclass(frozen=True)
class Provenance:
    """What is known about a model's training."""

    corpora: tuple[str, ...] | None  # as far as its authors have published them; None if they have not
    source: str  # who says so
    complete: bool = True  # False if it may have been trained on other corpora as well


def provenance_of(spec: dict, near: Path | None = None) -> Provenance:
    """What is known about the model of a teacher, or of a student that starts from a model.

    A local folder is known by its name, by ``datasets`` and ``base_model`` in the head of its model card (README.md),
    and by the name that its config.json started from; the last two do not say what came after, so nothing is complete.

    ``spec`` as in the YAML: ``name``, and ``source`` if it is read from somewhere; a relative source may refer to the
    folder ``near`` or to its parents.

    Example
    -------
    >>> provenance_of({"name": "transformers_encoder", "source": "superb/hubert-large-superb-er"}).corpora
    ('IEMOCAP', 'Libri-Light')
    >>> provenance_of({"name": "opensmile"}).corpora
    ()
    """
    if spec.get("name") in FORMULAS:
        return Provenance((), "it has learned nothing: its features are formulas")
    source = str(spec.get("source") or spec.get("name", ""))  # a package's model has the name of its teacher
    if spec.get("name") == "feature_table":
        return Provenance(None, f"nobody says what computed {Path(source).name}, and from which labels")
    folder = local_folder(source, near)
    if folder is None:
        return _known(source) or Provenance(None, f"nothing is known of '{source}'")
    known = _known(folder.name) or _known(f"{folder.parent.name}/{folder.name}")
    datasets, bases = _card(folder)
    if known is not None and not datasets:
        return Provenance(known.corpora, f"{known.source}; by the name of the folder {folder.name}", known.complete)
    known = next((found for name in bases if (found := _known(name))), None)
    if known is None and not datasets:
        return Provenance(None, f"nothing is known of the model in {folder.name}")
    corpora = (*datasets, *(known.corpora or () if known else ()))
    card = f"README.md and config.json of {folder.name}"
    return Provenance(corpora or None, f"{known.source}; {card}" if known else card, complete=False)


def names_corpus(corpora: Iterable[str], corpus: str) -> bool:
    """Whether ``corpus``, or any of several joined by ``+``, is among the names, whose spelling and owner do not count.

    Example
    -------
    >>> names_corpus(["me/crema_d", "LibriSpeech"], "CREMA-D"), names_corpus(["LibriSpeech"], "EmoDB")
    (True, False)
    """
    return not {_plain(name.rpartition("/")[2]) for name in corpora}.isdisjoint(map(_plain, corpus.split("+")))


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


@cache
def _table() -> list[dict]:
    return YAML(typ="safe").load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def _known(name: str) -> Provenance | None:
    """The first row of the table with a pattern for this name; a name without an owner fits any owner's model."""
    for row in _table():
        for pattern in row["names"]:
            pattern = pattern if "/" in name else pattern.rpartition("/")[2]
            if fnmatch(name.lower(), pattern.lower()):
                corpora = None if row["corpora"] is None else tuple(row["corpora"])
                return Provenance(corpora, row["source"], row.get("complete", True))
    return None


def local_folder(source: str, near: Path | None) -> Path | None:
    """The folder of a local model, of which ``source`` is the path or a file in it."""
    if not source:
        return None
    path = Path(source).expanduser()
    places = [path] if path.is_absolute() or near is None else [path, *(p / path for p in (near, *near.parents))]
    found = next((place for place in places if place.exists()), None)
    return found.parent if found is not None and found.is_file() else found


def _card(folder: Path) -> tuple[list[str], list[str]]:
    """Data sets and original models that the card and the config of a model name."""
    from huggingface_hub import metadata_load

    try:
        head = metadata_load(folder / "README.md") or {}
    except (OSError, ValueError, YAMLError):  # no card, or one whose head is not YAML
        head = {}
    try:
        origin = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_name_or_path")
    except (OSError, ValueError, AttributeError):
        origin = None
    datasets, bases = ([names] if isinstance(names := head.get(key), str) else names or [] for key in KEYS)
    return list(map(str, datasets)), [*map(str, bases), *([str(origin)] if origin else [])]
