"""A code of how a recording sounds, by which its copies are found: louder, noisier, resampled, coded, trimmed."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import rfft
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.files import written_aside
from akd_toolkit.data.manifest import Utterance

logger = logging.getLogger(__name__)

VERSION = 1  # raise it when codes change
WINDOW, HOP = 4096, 320  # samples at 16 kHz: 256 ms every 20 ms
REACH = 64  # frames before and after the middle: 1.28 s each
FRAMES = 2 * REACH + 1
BANDS = 33  # bits a frame: one less
LOW_HZ, HIGH_HZ = 300.0, 3200.0  # what a telephone passes
QUIET_DB = 20.0  # frames further below the loudest say nothing
SHIFTS = range(-3, 4)  # frames by which the middles of two copies may lie apart
MIN_FRAMES = 25  # that both must have, 0.5 s
COPY = 0.80  # share of equal bits from which two recordings are called copies
ALIKE = 0.70  # from which they are worth listening to
COARSE, COARSE_MIN = 4, 0.64  # every 4th frame decides whether two are compared at all


@dataclass(frozen=True)
class Code:
    """Bits of one recording.

    Shape
    -----
    bits: [129, 32], -1 or 1, and 0 in frames that are quiet or beyond the ends. loud: [129], 0 or 1. Both int8.
    """

    bits: np.ndarray
    loud: np.ndarray

    def packed(self) -> np.ndarray:
        """533 bytes: what is kept on disk."""
        return np.packbits(np.concatenate([(self.bits > 0).ravel(), self.loud > 0]))

    @classmethod
    def unpacked(cls, packed: np.ndarray) -> "Code":
        flat = np.unpackbits(packed)[: FRAMES * BANDS].astype(np.int8)
        loud = flat[FRAMES * (BANDS - 1) :]
        bits = 2 * flat[: FRAMES * (BANDS - 1)].reshape(FRAMES, BANDS - 1) - 1
        return cls(bits * loud[:, None], loud)


def code_of(waveform: np.ndarray) -> Code:
    """The code of a recording.

    E[t, m] is the energy of frame t (256 ms, Hann) in band m of 33 between 300 and 3200 Hz, equally wide in octaves.
    Bit m of frame t says whether  E[t, m] - E[t, m+1] - (E[t-1, m] - E[t-1, m+1]) > 0:  neither gain nor a filter that
    changes slowly over frequency moves it. 129 frames every 20 ms lie around the centre of the speech's energy, which
    stays at its place when the ends are trimmed; frames 20 dB below the loudest are masked.

    Source: Haitsma & Kalker 2002, "A highly robust audio fingerprinting system". Differs: they cut long music into
    blocks and look them up; an utterance has one code of a fixed size around its middle, with a mask for pauses.

    Shape
    -----
    waveform: [samples] float32 at 16 kHz.

    Example
    -------
    >>> sound = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    >>> similarity(code_of(sound), code_of(0.1 * sound)), similarity(code_of(sound), code_of(sound[800:-800])) > COPY
    (1.0, True)
    """
    middle = _centre(waveform)
    reach = (REACH + 1) * HOP + WINDOW // 2
    padded = np.pad(waveform.astype(np.float32), reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
    first = middle + reach - (REACH + 1) * HOP - WINDOW // 2
    energy = _band_energy(windows[first : first + (FRAMES + 1) * HOP : HOP][: FRAMES + 1])  # [130, 33]
    total = energy.sum(axis=1)[1:]
    loud = (total > total.max(initial=0.0) * 10 ** (-QUIET_DB / 10)).astype(np.int8)
    slope = energy[:, :-1] - energy[:, 1:]
    bits = np.where(slope[1:] > slope[:-1], 1, -1).astype(np.int8)
    return Code(bits * loud[:, None], loud)


def similarity(one: Code, other: Code) -> float:
    """Share of equal bits in frames that are loud in both, at the best of the shifts; 0 where there are too few."""
    return float(_similarities(_stack([one]), _stack([other]))[0, 0])


def similar_pairs(codes: Sequence[Code], least: float = ALIKE, progress: bool = True) -> list[tuple[int, int, float]]:
    """Every pair (i, j, share of equal bits), i < j, that is at least so similar, the most similar first.

    Every 4th frame is compared for all pairs, by products of matrices; what comes near is compared in full.
    """
    bits, loud = _stack(codes)
    block, found = 512, []
    for i in tqdm(range(0, len(codes), block), desc="comparing fingerprints", unit="block", disable=not progress):
        for j in range(i, len(codes), block):
            rows, columns = (bits[i : i + block], loud[i : i + block]), (bits[j : j + block], loud[j : j + block])
            near = np.argwhere(_similarities(rows, columns, COARSE) >= COARSE_MIN)
            for a, b in ((i + a, j + b) for a, b in near if i + a < j + b):
                share = similarity(codes[a], codes[b])
                if share >= least:
                    found.append((int(a), int(b), share))
    return sorted(found, key=lambda pair: -pair[2])


def codes_of(
    rows: Iterable[Utterance], cache: str | Path | None = None, progress: bool = True
) -> tuple[dict[str, Code], list[str]]:
    """(ID -> code, what could not be read); what ``cache`` (an .npz) holds is not read again, and new codes join it."""
    rows = list(rows)
    known, problems = _read_cache(cache), []
    missing = [row for row in rows if _key(row) not in known]
    try:
        for row in tqdm(missing, desc="fingerprints", unit="file", disable=not progress or not missing):
            try:
                known[_key(row)] = code_of(read_audio(row.wav, row.start, row.stop or None)).packed()
            except (OSError, ValueError) as error:
                problems.append(str(error))
    finally:  # Ctrl-C keeps what was done
        if missing and cache is not None:
            _write_cache(Path(cache), known)
    return {row.id: Code.unpacked(known[_key(row)]) for row in rows if _key(row) in known}, problems


def _stack(codes: Sequence[Code]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([code.bits for code in codes]), np.stack([code.loud for code in codes])


def _similarities(rows, columns, step: int = 1) -> np.ndarray:
    """Best share of equal bits over the shifts: [rows, columns]. Of -1 and 1, products count equal less unequal."""
    (bits, loud), (others, theirs) = rows, columns
    fewest = np.minimum(loud.sum(axis=1)[:, None], theirs.sum(axis=1)[None])
    enough = np.maximum(MIN_FRAMES, 0.6 * fewest) / step
    best = np.zeros((len(bits), len(others)), dtype=np.float32)
    for shift in SHIFTS:
        here = slice(max(0, shift), FRAMES + min(0, shift), step)
        there = slice(max(0, -shift), FRAMES + min(0, -shift), step)
        both = loud[:, here].astype(np.float32) @ theirs[:, there].astype(np.float32).T  # frames loud in both
        equal = _flat(bits[:, here]) @ _flat(others[:, there]).T
        share = 0.5 + 0.5 * equal / np.maximum(both * (BANDS - 1), 1)
        best = np.maximum(best, np.where(both >= enough, share, 0.0))
    return best


def _flat(bits: np.ndarray) -> np.ndarray:
    return bits.reshape(len(bits), -1).astype(np.float32)


def _centre(waveform: np.ndarray) -> int:
    """Sample at the centre of the energy between 300 and 3200 Hz, above twice the noise floor."""
    size, hop = 512, 160
    padded = np.pad(waveform.astype(np.float32), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    energy = _spectrum(frames)[:, size * int(LOW_HZ) // SAMPLE_RATE_HZ : size * int(HIGH_HZ) // SAMPLE_RATE_HZ]
    above = energy.sum(axis=1, dtype=np.float64)
    above = np.maximum(above - 2 * np.percentile(above, 20), 0)
    if not above.any():
        return len(waveform) // 2
    return round(float(np.arange(len(above)) @ above / above.sum()) * hop)


def _band_energy(frames: np.ndarray) -> np.ndarray:
    """[frames, 33]."""
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * WINDOW / SAMPLE_RATE_HZ).astype(int)
    return np.add.reduceat(_spectrum(frames)[:, : edges[-1]], edges[:-1], axis=1)


def _spectrum(frames: np.ndarray) -> np.ndarray:
    bins = rfft(frames * np.hanning(frames.shape[1]).astype(np.float32), axis=1)
    return bins.real**2 + bins.imag**2


def _key(row: Utterance) -> str:
    """Its checksum, or where there is none its place on the disk, size and time."""
    if row.sha256:
        return f"{row.sha256}:{row.start}:{row.stop}"
    path = Path(row.wav)
    facts = path.stat() if path.is_file() else None
    place = [str(path.resolve()), row.start, row.stop, facts and facts.st_size, facts and facts.st_mtime_ns]
    return hashlib.sha256(repr(place).encode()).hexdigest()


def _read_cache(cache) -> dict[str, np.ndarray]:
    if cache is None or not Path(cache).is_file():
        return {}
    try:
        with np.load(cache, allow_pickle=False) as stored:
            if int(stored["version"]) == VERSION:
                return dict(zip(stored["keys"].tolist(), stored["codes"]))
    except (OSError, ValueError, KeyError, EOFError):
        logger.warning("%s cannot be read; fingerprints are taken again.", cache)
    return {}


def _write_cache(cache: Path, known: dict[str, np.ndarray]) -> None:
    if not known:
        return
    try:
        with written_aside(cache) as aside:
            np.savez(aside, version=VERSION, keys=np.array(list(known)), codes=np.stack(list(known.values())))
    except OSError as error:
        logger.warning("fingerprints are not kept: %s", error)
