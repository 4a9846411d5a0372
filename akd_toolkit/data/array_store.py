"""Arrays of every utterance of a corpus: computed once by any number of processes, then memory-mapped."""

import io
import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import cloudpickle
import numpy as np
from filelock import FileLock

from akd_toolkit.data.files import write_text_aside, written_aside
from akd_toolkit.parallel import run_tasks
from akd_toolkit.progress import tqdm

logger = logging.getLogger(__name__)
CHUNK = 16  # utterances per file while computing: what a kill can cost
COUNTS, OFFSETS = "counts", "offsets"

Chunk = dict[str, np.ndarray]


def stored_arrays(
    folder: Path,
    stem: str,
    ids: Sequence[str],
    keys: Sequence[str],
    describe: Callable[[Sequence[str]], Chunk],
    title: str,
    about: dict | None = None,
    jobs: int = 1,
    backend: str = "local",
    progress: bool = True,
) -> Chunk:
    """The arrays of an entry, memory-mapped and read-only; computed first if they are missing or damaged.

    A kill or a full disk leaves finished chunks, which the next call continues. The numbers do not depend on ``jobs``.

    Arguments
    ---------
    folder, stem
        An array is in ``folder/stem.KEY.npy``. Whatever the numbers depend on must be part of either.
    keys
        Names of the arrays. If ``"offsets"`` is one, ``describe`` gives ``"counts"``, and utterance i has the rows
        ``offsets[i]`` to ``offsets[i + 1]`` of each array that is longer than the ids.
    describe
        A few ids -> name -> array, rows in the order of the ids; picklable for jobs > 1.
    title, about
        For the log, and for a reader: written beside the arrays.
    jobs, backend
        See ``run_tasks``.
    """
    if (arrays := _open(folder, stem, ids, keys)) is None:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{stem}.lock"):
            # Another process may have computed it while this one waited.
            if (arrays := _open(folder, stem, ids, keys)) is None:
                begin = time.monotonic()
                parts = folder / f".{stem}.{'-'.join(keys)}.parts"
                paths = [parts / f"{index:06d}.npz" for index in range(-(-len(ids) // CHUNK))]
                num_kept = _compute(paths, ids, describe, title, jobs, backend, progress)
                _merge(folder, stem, ids, keys, paths, about or {})
                parts.rmdir()
                kept = f" ({num_kept} from an interrupted run)" if num_kept else ""
                logger.info("%s: computed %d utterances in %.0f s%s.", title, len(ids), time.monotonic() - begin, kept)
                return _open(folder, stem, ids, keys)
    logger.debug("%s: reused %d utterances.", title, len(ids))
    return arrays


def _open(folder: Path, stem: str, ids: Sequence[str], keys: Sequence[str]) -> Chunk | None:
    """The entry's arrays; None if one is missing, incomplete, or of other utterances."""
    paths = {key: folder / f"{stem}.{key}.npy" for key in keys}
    about = folder / f"{stem}.json"
    if not all(path.is_file() for path in [*paths.values(), about]):
        return None
    try:
        if json.loads(about.read_text(encoding="utf-8"))["ids"] != list(ids):
            raise ValueError("its utterances differ")
        arrays = {key: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)) for key, path in paths.items()}
        rows = int(arrays[OFFSETS][-1]) if OFFSETS in arrays else len(ids)
        if any(len(array) not in {len(ids), len(ids) + 1, rows} for array in arrays.values()):
            raise ValueError("its number of rows differs")
    except (ValueError, KeyError, EOFError, OSError) as error:
        logger.warning("%s in %s cannot be used (%s); computing it again.", stem, folder, error)
        return None
    return arrays


def _compute(paths: list[Path], ids, describe, title: str, jobs: int, backend: str, progress: bool) -> int:
    """Write the chunks that are missing; returns how many utterances were already computed."""
    chunks = [(path, ids[index * CHUNK : (index + 1) * CHUNK]) for index, path in enumerate(paths)]
    missing = [(path, chunk) for path, chunk in chunks if _read(path) is None]
    num_kept = len(ids) - sum(len(chunk) for _, chunk in missing)
    shared = paths[0].with_name("describe.pickle")
    write = partial(_write, describe)
    if min(jobs, len(missing)) > 1:
        with written_aside(shared) as aside:
            aside.write_bytes(cloudpickle.dumps(describe))
        write = partial(_write, _Shared(shared, secrets.token_hex(8)))
    with tqdm(total=len(ids), initial=num_kept, desc=title, unit="utt", disable=not progress) as bar:
        run_tasks(write, missing, jobs, backend, on_done=lambda: bar.update(min(CHUNK, bar.total - bar.n)))
    shared.unlink(missing_ok=True)
    return num_kept


def _write(describe: Callable, task: tuple[Path, Sequence[str]]) -> None:
    path, ids = task
    buffer = io.BytesIO()
    np.savez(buffer, **describe(ids))
    with written_aside(path) as aside:
        aside.write_bytes(buffer.getbuffer())


class _Shared(NamedTuple):
    """``describe`` in a worker: it is loaded, with its manifest and model, once and not once per task."""

    path: Path
    token: str

    def __call__(self, ids: Sequence[str]) -> Chunk:
        return _described(*self)(ids)


@lru_cache(maxsize=1)
def _described(path: Path, token: str) -> Callable:
    return cloudpickle.loads(path.read_bytes())


def _read(path: Path) -> Chunk | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None


def _merge(folder: Path, stem: str, ids, keys: Sequence[str], parts: list[Path], about: dict) -> None:
    # The list of utterances goes first: arrays are valid from the moment their own files are renamed.
    write_text_aside(folder / f"{stem}.json", json.dumps({"ids": list(ids), **about}, indent=1, default=str))
    for key in keys:
        with written_aside(folder / f"{stem}.{key}.npy") as aside:
            if key == OFFSETS:
                counts = np.concatenate([_read(path)[COUNTS] for path in parts])
                np.save(aside, np.concatenate([[0], np.cumsum(counts)]))
            else:
                _join(aside, parts, key)
    for path in parts:
        path.unlink(missing_ok=True)


def _join(path: Path, parts: list[Path], key: str) -> None:
    """Write array ``key`` of all parts as one .npy file, a part at a time.

    Not through a memory map: on a full disk that kills the process instead of raising OSError.
    """
    first = _read(parts[0])[key]
    shape = (sum(len(_read(part)[key]) for part in parts), *first.shape[1:])
    header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(_read(part)[key]).data)
