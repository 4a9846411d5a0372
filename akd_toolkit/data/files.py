"""Names of files, files that are written completely or not at all, and the files below a folder."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Sound that libsndfile reads, and containers that need PyAV (`pip install 'akd-toolkit[av]'`); lower case.
SOUND_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd"),
    *(".w64", ".rf64", ".caf"),
)
CONTAINER_SUFFIXES = (".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mka", ".mov", ".wma", ".avi", ".flv", ".3gp", ".amr")

AUDIO_SUFFIXES = (*SOUND_SUFFIXES, *CONTAINER_SUFFIXES)

# Files of a student, in a run's folder and in a bundle.
WEIGHTS, SETTINGS, ONNX_FILE = "student.safetensors", "student.json", "student.onnx"
MANIFEST = "manifest.csv"  # of a corpus; manifest.json beside it
MODELS_INDEX = "models.yaml"  # of a folder of models; hub name: folder beside this file
GENERATED = "generated.json"  # beside or above generated sound
MODEL_SUFFIXES = (".onnx", ".pt", ".plan", ".safetensors", ".ckpt", ".json", ".yaml")


def is_generated(files: Iterable[str | Path]) -> bool:
    """Whether the toolkit generated any of these recordings."""
    folders = {parent for file in files for parent in Path(file).parents}
    return any((folder / GENERATED).is_file() for folder in folders)


def is_hub_name(source: str | Path) -> bool:
    """Whether ``source`` is ``owner/name`` of a repository on the hub, and not a local path.

    Whatever looks like a path, or has a parent folder that exists, is a path: a mistyped one never reaches the network.

    Example
    -------
    >>> [is_hub_name(source) for source in ("openai/whisper-base", "./run", "results/akd/seed17", "models/a.onnx")]
    [True, False, False, False]
    """
    return (
        isinstance(source, str)
        and re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None
        and not source.startswith((".", "~"))
        and not source.lower().endswith(MODEL_SUFFIXES)
        and not Path(source).parent.exists()
    )


def local_source(source: str, models_folder: str | Path | None) -> str:
    """The folder of a model by its hub name, or ``source`` itself if ``models_folder`` does not have it.

    ``source`` is a name on the hub, such as ``openai/whisper-base``, or a path. ``models_folder`` holds the model as
    ``owner/name``, or a models.yaml that maps names of models to folders beside it; or is None.
    """
    if models_folder is None or not is_hub_name(source):
        return source
    folder = Path(models_folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"models_folder {folder} is not a folder; give one that holds models, or null.")
    index, path = {}, folder / MODELS_INDEX
    if path.is_file():
        import ruamel.yaml  # here, because akd predict seldom needs it

        try:
            index = ruamel.yaml.YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
        except (ruamel.yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not valid YAML ({str(error).splitlines()[0]}); correct it.") from None
        if not isinstance(index, dict) or not all(isinstance(text, str) for pair in index.items() for text in pair):
            raise ValueError(f"{path} must map names of models to folders, such as openai/whisper-base: whisper-base.")
    if source in index and not (folder / index[source]).is_dir():
        raise FileNotFoundError(f"{path} maps {source} to {index[source]}, which is not a folder beside it.")
    local = folder / index.get(source, source)
    return str(local) if local.is_dir() else source


@contextmanager
def written_aside(path):
    """Yield a temporary path beside ``path``; it replaces ``path`` only when the block ends without an exception.

    OSError if the disk is full; the message names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, because writers of audio choose the format by it.
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield aside
        os.replace(aside, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = f"no space left to write {path}; its previous content is unchanged. Free some space and run again"
            raise OSError(error.errno, full) from error
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_aside(folder: Path):
    """Yield an empty folder beside ``folder``; it replaces ``folder`` only if the block ends without an exception."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    old = aside.with_suffix(".old")
    try:
        yield aside
        aside.chmod(0o755)  # mkdtemp makes it private
        if folder.exists():
            os.replace(folder, old)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if not folder.exists() and old.exists():
            os.replace(old, folder)
        shutil.rmtree(old, ignore_errors=True)


def write_text_aside(path, text: str) -> None:
    """Write ``text`` to ``path``; a reader sees the old file or the new one, never a part."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def walk_files(folder, _parents: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """Every file below ``folder`` whose path has no hidden part, folder by folder in the order of names.

    Symbolic links to folders are followed, except one back to a folder that contains it. Broken links are included, so
    that whoever reads them reports them.
    """
    stat = Path(folder).stat()
    identity = stat.st_dev, stat.st_ino
    if identity in _parents:
        return
    inside = sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
    yield from (path for path in inside if path.is_file() or not path.exists())
    for path in inside:
        if path.is_dir():
            yield from walk_files(path, (*_parents, identity))
