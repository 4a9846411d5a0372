"""What every corpus preparer does: check the files, measure them, and write the manifest or reuse it."""

import hashlib
import logging
import math
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import Recording, read_recording
from akd_toolkit.data.files import MANIFEST, is_generated, written_aside
from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.names import some
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)

VIDEOS = (".mp4", ".flv", ".avi", ".mkv", ".mov", ".webm")
TIMEOUT_S = 30.0  # of a download


def check_labels(label_order: Sequence[str], labels: Sequence[str], corpus: str) -> None:
    """ValueError if the order does not name each label of the corpus once."""
    if sorted(label_order) != sorted(labels):
        has = f"{corpus} has exactly {', '.join(labels)}"
        raise ValueError(f"label_order is {list(label_order)}; {has}. Name each once, in any order.")


def read_checksums(path: Path) -> dict[str, str]:
    """Stem -> checksum, of a file with lines ``checksum  stem`` and comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if not line.startswith("#")]
    return {stem: checksum for checksum, stem in pairs}


def unmeasured(path: Path, speaker: str, emotion: str, **known) -> Utterance:
    """The row of a whole file, named after it, whose length ``measure`` fills in; ``known`` are further columns."""
    return Utterance(path.stem, str(path.resolve()), 0, 0, 0.0, speaker, emotion, **known)


def measure(
    utterances: Sequence[Utterance],
    corpus: str,
    progress: bool = True,
    look: Callable[[Utterance, Recording], None] | None = None,
    parts: Mapping[str, tuple[float, float]] | None = None,
    skipped: list[str] | None = None,
) -> list[Utterance]:
    """Read every file, or its part, and fill in start, stop, duration and checksum; all bad files are in one error.

    ``look`` is called with each recording while it is in memory. ``parts`` maps the ID of an utterance that is a part
    of its file to (start, stop) in seconds, NaN for the beginning or end. ``skipped`` is a list that receives what is
    wrong with each bad file: these are then left out, if any file is good.
    """
    measured, problems, parts = [], [], parts or {}
    for row in tqdm(utterances, desc=f"measuring {corpus}", unit="file", disable=not progress):
        try:
            if row.wav != (shown := row.wav.encode(errors="backslashreplace").decode()):
                raise ValueError(f"{shown} has a name that is not UTF-8; rename the file or its folder.")
            start, stop = 0, None
            if row.id in parts:
                rate = read_recording(row.wav, 0, 1).sample_rate_hz
                start, stop = (None if math.isnan(s) else round(s * rate) for s in parts[row.id])
            recording = read_recording(row.wav, start or 0, stop)
            recording.waveform()  # refuses what is too short or silent
        except (OSError, ValueError) as error:
            problems.append(f"{row.id}: {error}" if parts else str(error))
            continue
        if look is not None:
            look(row, recording)
        span = {"start": start or 0, "stop": (start or 0) + len(recording.samples)}
        measured.append(replace(row, **span, duration=recording.duration_s, sha256=recording.sha256))
    if skipped is not None and measured:
        skipped += problems
    else:
        hint = " (if start and stop are not times in these files, leave them out with --columns start=- stop=-)"
        raise_problems(problems, f"{len(problems)} of {len(utterances)} files of {corpus}{hint if parts else ''}")
    return measured


def find_videos(folder: str | Path | None, corpus: str, first: int = 0) -> dict[str, Path]:
    """Videos in ``folder``, at any depth, by the part of their names from character ``first`` on; none for None."""
    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"video_folder {folder} is not a folder; give one with {corpus}'s videos, or null.")
    paths = [path for path in Path(folder).rglob("*") if path.suffix.lower() in VIDEOS and path.is_file()]
    if not paths:
        raise ValueError(f"video_folder {folder} holds no video; give one with {corpus}'s videos, or null.")
    return {path.stem[first:]: path.resolve() for path in sorted(paths, reverse=True)}  # of equal names the first


def with_videos(rows: Sequence[Utterance], videos: dict[str, Path], corpus: str, first: int = 0) -> list[Utterance]:
    """The rows with their videos from ``find_videos``; the log counts them."""
    if not videos:
        return list(rows)
    rows = [replace(row, video=str(videos.get(row.id[first:], ""))) for row in rows]
    logger.info("%s: %d of %d utterances have a video.", corpus, sum(bool(row.video) for row in rows), len(rows))
    return rows


def trim_silence(row: Utterance) -> Utterance:
    """The row from 0.1 s before to 0.1 s after the part within 30 dB of its loudest 50 ms."""
    from scipy.ndimage import uniform_filter1d  # akd predict imports this module and does without scipy

    recording = read_recording(row.wav)
    rate = recording.sample_rate_hz
    power = recording.samples.reshape(len(recording.samples), -1).mean(axis=1) ** 2
    smooth = uniform_filter1d(power, round(0.05 * rate), mode="constant")
    loud = np.flatnonzero(smooth > 1e-3 * smooth.max())
    start, stop = max(0, int(loud[0]) - rate // 10), min(len(power), int(loud[-1]) + rate // 10)
    return replace(row, start=start, stop=stop, duration=(stop - start) / rate)


def same_sounds(
    rows: Iterable[Utterance], official: Collection[tuple[str, str]], corpus: str
) -> list[tuple[Utterance, Utterance]]:
    """Pairs of utterances with identical sound; the log says which are ``official`` pairs of IDs."""
    sounds: dict[str, Utterance] = {}
    pairs = [(first, row) for row in rows if (first := sounds.setdefault(row.sha256, row)) is not row]
    for first, row in pairs:
        labels = f" labelled {first.emotion} and {row.emotion}," if first.emotion != row.emotion else ""
        known = labels + (" as in" if (first.id, row.id) in official else " unlike")
        logger.warning("%s: %s and %s hold the same sound,%s the official files.", corpus, first.id, row.id, known)
    return pairs


def count_differences(found: Iterable[str], expected: Iterable[str], what: str) -> list[str]:
    """Values whose count differs from the official corpus, the first few by name: ``class anger 1 instead of 2``."""
    have, want = Counter(found), Counter(expected)
    cells = [cell for cell in sorted(have | want) if have[cell] != want[cell]]
    return [some(" ".join(f"{what} {c} {have[c]} instead of {want[c]}".split()) for c in cells)] if cells else []


def name_differences(
    found: Collection[str], expected: Collection[str], *cells: tuple[str, Callable[[str], str]]
) -> list[str]:
    """Differences from the official names: in the number of files, in counts per cell, and in the names.

    ``cells`` are a title and name -> cell each, such as ``("speaker", lambda name: name[:2])``.

    Example
    -------
    >>> name_differences(["a1", "b1"], ["a1", "a2", "b1"], ("speaker", lambda name: name[0]))
    ['files 2 instead of 3', 'speaker a 1 instead of 2', 'missing: a2']
    """
    differences = []
    for what, cell in (("files", lambda name: ""), *cells):
        differences += count_differences(map(cell, found), map(cell, expected), what)
    for what, names in (("missing", set(expected) - set(found)), ("extra", set(found) - set(expected))):
        differences += [f"{what}: {some(sorted(names))}"] if names else []
    return differences


def refuse_or_warn(differences: Sequence[str], what: str, expect_official: bool) -> None:
    """ValueError if there are differences from the official corpus, or a warning; ``what`` begins the sentence."""
    message = f"{what}: {'; '.join(differences)}"
    if differences and expect_official:
        raise ValueError(f"{message}. Give the official folder, or set expect_official: False to use it as it is.")
    if differences:
        logger.warning("%s.", message)


def prepare_once(save_folder, arguments: dict, files: Sequence[Path], build: Callable[[], Manifest]) -> Manifest:
    """The manifest in ``save_folder`` if it was made with these arguments from these files, else what ``build`` makes.

    Files count as the same if name, size and modification time agree; ``arguments``, JSON types, are written to
    manifest.json. The log says why a new one was made.
    """
    path = Path(save_folder) / MANIFEST
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    arguments = {**arguments, "files": digest.hexdigest()[:12]}
    try:
        manifest = Manifest.read(path)
    except FileNotFoundError:
        reason = "there was none"
    except (OSError, ValueError):
        reason = "the old one was damaged"
    else:
        keys = sorted(set(arguments) | set(manifest.arguments))
        differ = [key for key in keys if arguments.get(key) != manifest.arguments.get(key)]
        if not differ:
            logger.info("%s: reused %s, %d utterances.", manifest.corpus, path, len(manifest))
            return manifest
        reason = f"{', '.join(differ)} changed"
    manifest = replace(build(), arguments=arguments, generated=is_generated(files))
    manifest.write(path)
    logger.info("%s: wrote %s, %d utterances (%s).", manifest.corpus, path, len(manifest), reason)
    return manifest


def fetch_zip(url: str, folder) -> Path:
    """Download a ZIP archive and unpack it into ``folder``, completely or not at all; an existing folder is reused."""
    import zipfile
    import zlib

    folder = Path(folder)
    if folder.is_dir():
        logger.info("reused the archive unpacked in %s.", folder)
        return folder
    archive, aside = folder.with_suffix(".zip"), folder.with_name(f".{folder.name}.part")
    if not archive.is_file():
        _download(url, archive)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as members:
            members.extractall(aside)  # never writes outside of it
        aside.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        archive.unlink()  # so that the next run downloads it again
        raise ValueError(f"{archive} is not a complete ZIP archive ({error}); run again to download it.") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    archive.unlink()
    return folder


def _download(url: str, path: Path) -> None:
    import http.client  # here, as are those above, because akd predict imports this module and would start later
    import urllib.request

    advice = "Check the network and run again, or download it by hand and give data_folder"
    logger.info("downloading %s to %s.", url, path)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, written_aside(path) as aside:
            expected = int(response.headers.get("Content-Length") or 0)
            with aside.open("wb") as file, tqdm.wrapattr(response, "read", expected or None, desc=path.name) as stream:
                shutil.copyfileobj(stream, file)
            if aside.stat().st_size < expected:
                raise ConnectionError(f"it stopped after {aside.stat().st_size} of {expected} bytes")
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise ConnectionError(f"{url} cannot be downloaded ({error}). {advice}.") from None
