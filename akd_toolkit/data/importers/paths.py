"""The files that a table names, even if it was written on another machine."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from akd_toolkit.data.files import CONTAINER_SUFFIXES, SOUND_SUFFIXES, walk_files

SUFFIXES = (*SOUND_SUFFIXES, *CONTAINER_SUFFIXES)
SAMPLE = 500  # rows that decide how paths of the table become paths of the folder
Parts = tuple[str, ...]


def find_paths(texts: Sequence[str], folder: Path, table: Path) -> list[Path]:
    """The file of each text; the text itself below ``folder`` if there is none.

    Tried in this order: as written, from ``folder`` or from the table's folder; ignoring the suffix, the Unicode form
    and the kind of slash; with the beginning of the path replaced (``/home/ann/corpus/wav`` by ``wav``), in the same
    way for all rows; and if texts are names only, in whatever folder the name is found once.
    """
    bases = folder, table.parent
    for base in bases:
        paths = [base / text for text in texts]
        if all(path.is_file() for path in paths):
            return paths
    files: dict[Parts, list[Path]] = defaultdict(list)
    by_name: dict[str, list[Parts]] = defaultdict(list)
    for path in walk_files(folder):
        if path.suffix.lower() in SUFFIXES:
            files[_parts(path.relative_to(folder).as_posix())].append(path)
    for parts in files:
        by_name[parts[-1]].append(parts)
    wanted = [_parts(text) for text in texts]
    sample = wanted[:: len(wanted) // SAMPLE + 1]
    votes = Counter(_change(parts, other) for parts in sample if parts for other in by_name[parts[-1]])
    home = _parts(table.parent.relative_to(folder).as_posix()) if table.is_relative_to(folder) else ()
    as_written = [change for change in (((), ()), ((), home)) if 2 * votes[change] >= len(sample)]
    if not as_written and all(len(parts) == 1 and len(by_name[parts[0]]) < 2 for parts in wanted):
        places = [(by_name[parts[0]] or [()])[0] for parts in wanted]
    else:
        old, new = as_written[0] if as_written else _clearest(votes)
        places = [(*new, *parts[len(old) :]) if parts[: len(old)] == old else () for parts in wanted]
    found = []
    for place, text in zip(places, texts):
        suffix = PurePosixPath(text).suffix.lower()
        same = files.get(place, [])
        same = [path for path in same if path.suffix.lower() == suffix] or same
        written = next((base / text for base in bases if (base / text).is_file()), folder / text)
        found.append(same[0] if len(same) == 1 else written)
    return found


def _parts(text: str) -> Parts:
    parts = [part for part in normalize("NFC", text).replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES:
        parts[-1] = PurePosixPath(parts[-1]).stem
    return tuple(parts)


def _change(parts: Parts, other: Parts) -> tuple[Parts, Parts]:
    """The beginning of ``parts``, and what must replace it, to get ``other``."""
    same = 1
    while parts[-same - 1 : -same] and parts[-same - 1 : -same] == other[-same - 1 : -same]:
        same += 1
    return parts[:-same], other[:-same]


def _clearest(votes: Counter) -> tuple[Parts, Parts]:
    """The change that has at least twice as many votes as any other."""
    (best, most), (second, fewer), *_ = [*votes.most_common(2), (((), ()), 0), (((), ()), 0)]
    if most < 2 * fewer:
        places = ["/".join(new) or "the data folder itself" for _, new in (best, second)]
        raise ValueError(
            f"files of the table are found in {places[0]} and in {places[1]}; write the folder into its paths, "
            "such as --columns 'path=folder/{name of the column}'."
        )
    return best
