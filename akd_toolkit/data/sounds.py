"""The sound files of a folder: readable ones, second copies, and those of a corpus."""

import importlib.util
import logging
import os.path
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from akd_toolkit.data.files import CONTAINER_SUFFIXES, SOUND_SUFFIXES, walk_files
from akd_toolkit.data.names import some

logger = logging.getLogger(__name__)

# Sound that is not read, and containers, which need PyAV.
UNREAD_SUFFIXES = {*(".sph", ".raw", ".pcm", ".ape", ".wv", ".mp2", ".ac3", ".m4b", ".wmv"), *CONTAINER_SUFFIXES}
CONVERT = "install PyAV (pip install 'akd-toolkit[av]') or convert them (ffmpeg -i NAME.m4a NAME.wav)"


def find_sounds(folder, option: str = "data_folder", advice: str = "give the folder of the recordings") -> list[Path]:
    """Every readable sound file below ``folder``, sorted; a warning names the others.

    Links to folders are followed, hidden files ignored. Containers such as .m4a need PyAV. ``option``, the setting that
    named the folder, and ``advice``, what to do, are the begin and end of an error message. FileNotFoundError if there
    is no such folder, or a sound file is a broken link; ValueError if there is no sound file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{option} {folder} is not a folder; {advice}.")
    paths = sorted(walk_files(folder))
    readable = {*SOUND_SUFFIXES, *(CONTAINER_SUFFIXES if importlib.util.find_spec("av") else ())}
    found = [path for path in paths if path.suffix.lower() in readable]
    unread = [path for path in paths if path.suffix.lower() not in readable and path.suffix.lower() in UNREAD_SUFFIXES]
    if unread:
        names = some([str(path.relative_to(folder)) for path in unread])
        logger.warning("%s: %d sound files are not read (%s); %s.", folder, len(unread), names, CONVERT)
    if not found:
        suffixes = sorted({path.suffix for path in paths if path.suffix})
        there = f" (it holds files {some(suffixes)})" if suffixes else ""
        what = f"{option} {folder} holds no sound file that can be read{there}"
        raise ValueError(f"{what}; {CONVERT if unread else advice}.")
    absent = [str(path) for path in found if not path.exists()]
    if absent:
        raise FileNotFoundError(
            f"{len(absent)} of {len(found)} sound files of {folder} are links to files that do not exist "
            f"({some(absent)}); fetch those files, such as with git annex get, or remove the links."
        )
    return found


def without_copies(paths: Sequence[Path]) -> list[Path]:
    """Leave out files that lie once more in a deeper folder, in a folder of the same name; a warning names them.

    Some archives hold their corpus twice: Kaggle's RAVDESS has ``audio_speech_actors_01-24`` beside ``Actor_01``.
    """
    alike = defaultdict(list)
    for path in paths:
        alike[path.parts[-2:], path.stat().st_size].append(path)
    copies = set()
    for group in alike.values():
        first, *others = sorted(group, key=lambda path: len(path.parts))
        below = [path for path in others if first.parents[1] in path.parents]
        copies |= {path for path in below if path.read_bytes() == first.read_bytes()}
    if copies:
        home = os.path.commonpath(copies)
        logger.warning("%d sound files in %s are left out: they are a second copy of others.", len(copies), home)
    return [path for path in paths if path not in copies]


def find_corpus(folder, what: str, name: str) -> tuple[Path, list[Path]]:
    """The smallest folder that holds every file of a corpus, at any depth, and the sound files in it by name.

    They may include other files, which the caller must refuse. ``what``, such as ``EmoDB's files``, is for messages;
    ``name`` is the regular expression of a file's path, without suffix, below the folder that is returned or one in it.
    Errors are those of ``find_sounds``, and ValueError if no name is one of the corpus, or a name occurs twice.
    """
    folder = Path(folder)
    paths = without_copies(find_sounds(folder, advice=f"it must hold {what}"))
    texts = [f"/{path.relative_to(folder).with_suffix('').as_posix()}" for path in paths]
    matches = [re.fullmatch(f"(.*)/(?:{name})", text) for text in texts]
    if not any(matches):
        raise ValueError(
            f"data_folder {folder} must hold {what}, and none of its {len(paths)} sound files is one of them "
            f"({some([path.name for path in paths])}). Check the path."
        )
    home = folder / os.path.commonpath([match[1] or "/" for match in matches if match])[1:]
    inside = sorted((path for path in paths if path.is_relative_to(home)), key=lambda path: path.stem)
    if len(inside) < len(paths):
        logger.info("%s: %d sound files elsewhere in %s are not read.", home, len(paths) - len(inside), folder)
    named = {path.stem for path, match in zip(paths, matches) if match}
    for one, other in pairwise(path.relative_to(home) for path in inside):
        if one.stem == other.stem and one.stem in named:
            raise ValueError(
                f"{home} holds {one.stem} twice, as {one} and {other}; keep one of each, or give data_folder the "
                "folder of one."
            )
    return home, inside
