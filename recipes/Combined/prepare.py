"""Manifest of several corpora together: the classes that they share, and speakers named CORPUS/SPEAKER."""

import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from akd_toolkit.data.importers.corpus import Source, find_utterances, prepare_table
from akd_toolkit.data.importers.tables import choose_columns, read_table
from akd_toolkit.data.layouts import LAYOUTS
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.preparing import prepare_once
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)


@CORPORA.register("combined")
def prepare_combined(
    data_folder: str | None,
    save_folder: str,
    label_order: Sequence[str],
    corpora: Mapping[str, Mapping],
    labels: Mapping[str, str] | None = None,
    expect_official: bool = True,
) -> Manifest:
    """Utterances of several corpora, in the classes of ``label_order``; the log counts those of other classes.

    IDs and speakers get the corpus's title in front: ``EmoDB/03a01Fa`` of speaker ``EmoDB/03``.

    Arguments
    ---------
    data_folder
        Holds a folder for each corpus; null generates four speakers of each, for ``--debug``.
    save_folder
        The manifest goes there, that of each corpus to ``corpora/TITLE``.
    label_order
        The classes in the order of the logits.
    corpora
        Title -> ``recipe``, a folder with a prepare.py, and its options; or ``table`` or ``pattern``, see ``Source``
        (columns with usual names are found), and ``at_most``, see ``prepare_table``. ``folder`` is where the recordings
        are, by default the title.
    labels
        Emotion as a corpus has it -> class; ``-`` leaves it out.
    expect_official
        Passed on to the recipes' preparers.

    FileNotFoundError if a folder is missing; ValueError if an entry is wrong, or a corpus has none of the classes.
    """
    parts = {}
    for title, entry in corpora.items():
        options = dict(entry)
        folder = str(Path(data_folder or "", options.pop("folder", title)))
        if data_folder is None:
            folder, layout = Path(save_folder) / "generated" / title, title.lower()
            folder = str(generate_corpus(folder, 4, tuple(LAYOUTS[layout].labels), 2, seed=len(parts), layout=layout))
        save = str(Path(save_folder) / "corpora" / title)
        if ("recipe" in options) == bool({"table", "pattern"} & set(options)):
            given = ", ".join(entry) or "nothing"
            raise ValueError(f"corpora: {title} has {given}; give a recipe, a table or a pattern.")
        if recipe := options.pop("recipe", None):
            options = {"expect_official": expect_official, **options}
            parts[title] = _preparer(Path(recipe))(folder, save, **options)
        else:
            parts[title] = _from_source(folder, save, title, options)
    rows = []
    for title, part in parts.items():
        classes = {label: (labels or {}).get(label, label) for label in part.label_order}
        kept = [row for row in part if classes[row.emotion] in label_order]
        left_out = Counter(row.emotion for row in part if classes[row.emotion] not in label_order)
        if not kept:
            raise ValueError(f"{title} has {', '.join(left_out)} and none of {', '.join(label_order)}; map its labels.")
        listed = ", ".join(f"{count} of {label}" for label, count in sorted(left_out.items()))
        logger.info("%s: %d utterances; left out: %s.", title, len(kept), listed or "none")
        for row in kept:
            names = {"id": f"{title}/{row.id}", "speaker": f"{title}/{row.speaker}", "emotion": classes[row.emotion]}
            rows.append(replace(row, **names, attributes={}))
    arguments = {
        **{"preparer": "combined", "label_order": list(label_order), "labels": dict(labels or {})},
        "corpora": {title: part.hash for title, part in parts.items()},
    }
    known = all(part.speakers_known for part in parts.values())
    return prepare_once(
        save_folder,
        arguments,
        [Path(row.wav) for row in rows],
        lambda: Manifest("+".join(parts), tuple(label_order), tuple(rows), speakers_known=known),
    )


def _preparer(recipe: Path) -> Callable[..., Manifest]:
    """What the prepare.py of a recipe registers under the name of its folder."""
    name, file = recipe.resolve().name.lower().replace("-", "_"), recipe / "prepare.py"
    if name not in CORPORA.names():
        if not file.is_file():
            raise FileNotFoundError(f"corpora: there is no {file}; give the folder of a recipe.")
        spec = importlib.util.spec_from_file_location(f"prepare_{name}", file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return CORPORA.get(name)


def _from_source(folder: str, save: str, title: str, options: dict) -> Manifest:
    if table := options.get("table"):
        path = Path(folder, table)
        options["columns"] = choose_columns(read_table(path), options.get("columns", {}), path)
    at_most = options.pop("at_most", None)
    source = Source(**options)
    rows, _ = find_utterances(Path(folder), source)
    return prepare_table(folder, save, sorted({row.emotion for row in rows}), title, source, at_most=at_most)
