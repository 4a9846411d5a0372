"""The files that a table names, although it may have been written elsewhere."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from akd_toolkit.data.files import CONTAINER_SUFFIXES, SOUND_SUFFIXES, walk_files

SUFFIXES = (*SOUND_SUFFIXES, *CONTAINER_SUFFIXES)
SAMPLE = 500  # lines that say how paths of a table become paths of the folder
Parts = tuple[str, ...]


def find_paths(texts: Sequence[str], folder: Path, table: Path) -> list[Path]:
    """The file of each text; below ``folder`` as it is written where there is none.

    Looked for, in this order: as written, from ``folder`` or from the table's own folder (Hugging Face's
    ``metadata.csv``); the same without regard to the suffix, how letters with accents are composed, and which slash
    parts folders; with the beginning of the path replaced (``/home/ann/corpus/wav`` by ``wav``), in the same way in all
    lines; and where texts are names alone, in whatever folder the name is found once.

    Raises
    ------
    ValueError
        If names are found in several folders and nothing says which is meant.
    """
    bases = folder, table.parent
    for base in bases:
        paths = [base / text for text in texts]
        if all(path.is_file() for path in paths):
            return paths
    files = _Files(folder)
    wanted = [_parts(text) for text in texts]
    home = table.parent.relative_to(folder).as_posix() if table.is_relative_to(folder) else ""
    sample = wanted[:: len(wanted) // SAMPLE + 1]
    votes = Counter(way for parts in sample for way in files.ways(parts))
    exact = [way for way in (((), ()), ((), _parts(home))) if 2 * votes[way] >= len(sample)]
    if not exact and all(len(parts) == 1 and len(files.by_name.get(parts[0], ())) < 2 for parts in wanted):
        places = [next(iter(files.by_name.get(parts[0], [parts]))) for parts in wanted]
    else:
        cut, put = exact[0] if exact else _clearest(votes)
        places = [(*put, *parts[len(cut) :]) if parts[: len(cut)] == cut else () for parts in wanted]
    return [files.get(place, text) or _as_written(text, bases) for place, text in zip(places, texts)]


def _as_written(text: str, bases: Sequence[Path]) -> Path:
    return next((base / text for base in bases if (base / text).is_file()), bases[0] / text)


class _Files:
    """Sound below a folder, by what is the same in all ways to write its path."""

    def __init__(self, folder: Path):
        self.paths: dict[Parts, list[Path]] = defaultdict(list)
        for path in walk_files(folder):
            if path.suffix.lower() in SUFFIXES:
                self.paths[_parts(path.relative_to(folder).as_posix())].append(path)
        self.by_name: dict[str, list[Parts]] = defaultdict(list)
        for parts in self.paths:
            self.by_name[parts[-1]].append(parts)

    def get(self, parts: Parts, text: str) -> Path | None:
        """The file at ``parts``; of several with other suffixes the one that has the suffix of ``text``."""
        paths = self.paths.get(parts, [])
        same = [path for path in paths if path.suffix.lower() == PurePosixPath(text).suffix.lower()]
        return (same or paths)[0] if len(same or paths) == 1 else None

    def ways(self, parts: Parts) -> Iterator[tuple[Parts, Parts]]:
        """What is cut away at the beginning of a path, and what is put there, for it to become that of a file."""
        for other in self.by_name.get(parts[-1] if parts else "", ()):
            same = 1
            while parts[-same - 1 : -same] and parts[-same - 1 : -same] == other[-same - 1 : -same]:
                same += 1
            yield parts[:-same], other[:-same]


def _clearest(votes: Counter) -> tuple[Parts, Parts]:
    """The way that twice as many lines have as any other."""
    (best, most), (second, fewer), *_ = [*votes.most_common(2), (((), ()), 0), (((), ()), 0)]
    if most < 2 * fewer:
        places = ["/".join(put) or "the data folder itself" for _, put in (best, second)]
        raise ValueError(
            f"files of the table are found in {places[0]} and in {places[1]}; write the folder into its paths, "
            "such as --columns 'path=folder/{name of the column}'."
        )
    return best


def _parts(text: str) -> Parts:
    parts = [part for part in normalize("NFC", text).replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES:
        parts[-1] = PurePosixPath(parts[-1]).stem
    return tuple(parts)
