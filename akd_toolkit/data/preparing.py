"""What every corpus preparer does: measure the files, reuse a manifest that still fits, write a new one if not."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = (".wav", ".flac")


def find_audio(folder, what: str) -> list[Path]:
    """Audio files that lie directly in ``folder``, sorted by name.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no .wav or .flac file, or the same stem as both.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"data_folder {folder} is not a folder; it must hold {what}. Check the path.")
    files = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise ValueError(f"data_folder {folder} holds no .wav or .flac file; it must hold {what}. Check the path.")
    stems = [path.stem for path in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1}) if len(set(stems)) < len(stems) else []
    if twice:
        raise ValueError(f"{folder} holds {twice[0]} in two formats ({len(twice)} such stems); keep one of each.")
    return files


def measure(utterances: Iterable[Utterance], corpus: str, progress: bool = True) -> list[Utterance]:
    """Read every whole file and fill in stop, duration and checksum; all bad files are named in one error."""
    measured, problems = [], []
    utterances = list(utterances)
    for row in tqdm(utterances, desc=f"measuring {corpus}", unit="file", disable=not progress):
        try:
            recording = read_recording(row.wav)
            recording.waveform()  # refuses what is too short or silent
        except (OSError, ValueError) as error:
            problems.append(str(error))
            continue
        facts = {"stop": len(recording.samples), "duration": recording.duration_s, "sha256": recording.sha256}
        measured.append(Utterance(**{**vars(row), **facts}))
    raise_problems(problems, f"{len(problems)} of {len(utterances)} files of {corpus}")
    return measured


def prepare_once(save_folder, arguments: dict, files: Sequence[Path], build: Callable[[], Manifest]) -> Manifest:
    """Return the manifest in ``save_folder`` if it was made with these arguments from these files, else build it.

    Files count as the same when name, size and time of change agree. The log says which happened and why.

    Arguments
    ---------
    arguments
        What the preparer was called with, in types that JSON gives back unchanged; written to manifest.json.
    build
        Makes the manifest when it is needed.
    """
    path = Path(save_folder) / "manifest.csv"
    arguments = {**arguments, "files": _fingerprint(files)}
    reason = "none was there"
    if path.exists():
        try:
            manifest = Manifest.read(path)
        except (OSError, ValueError):
            reason = "the old one was damaged"
        else:
            keys = sorted(set(arguments) | set(manifest.arguments))
            differ = [key for key in keys if arguments.get(key) != manifest.arguments.get(key)]
            if not differ:
                logger.info("%s: reused %s, %d utterances.", manifest.corpus, path, len(manifest))
                return manifest
            reason = f"{', '.join(differ)} changed"
    built = build()
    manifest = Manifest(built.corpus, built.label_order, built.utterances, arguments)
    manifest.write(path)
    logger.info("%s: wrote %s, %d utterances (%s).", manifest.corpus, path, len(manifest), reason)
    return manifest


def _fingerprint(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        stat = path.stat()
        digest.update(f"{path.name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]
