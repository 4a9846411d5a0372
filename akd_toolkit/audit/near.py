"""Audio fingerprints: they find copies that were made louder or noisier, resampled, encoded or trimmed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.fft import rfft

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.manifest import Utterance
from akd_toolkit.data.verdicts import Finding, Split, counted
from akd_toolkit.progress import tqdm

WINDOW, HOP = 4096, 320  # samples at 16 kHz: 256 ms every 20 ms
REACH = 64  # frames before and after the middle: 1.28 s each
FRAMES = 2 * REACH + 1
BANDS = 33  # a frame has one bit less
LOW_HZ, HIGH_HZ = 300.0, 3200.0  # the band of a telephone
QUIET_DB = 20.0  # frames this far below the loudest are masked
SHIFTS = range(-3, 4)  # frames by which the middles of two copies may differ
MIN_FRAMES = 25  # loud in both, 0.5 s
COPY = 0.80  # share of equal bits from which two recordings are copies
ALIKE = 0.70  # from which they are worth a warning
NOT_COMPARED = (
    "that no recording is a part of a longer one, or a copy at another speed or pitch: fingerprints compare whole "
    "recordings."
)


class Code(NamedTuple):
    """Bits of one recording: [129, 32], -1 or 1, 0 where masked; and loud: [129], 0 or 1. Both int8."""

    bits: np.ndarray
    loud: np.ndarray


def code_of(waveform: np.ndarray) -> Code:
    """The code of a recording.

    E[t, m] is the energy of frame t (256 ms, Hann) in band m of 33 between 300 and 3200 Hz, equally wide in octaves.
    Bit m of frame t says whether  E[t, m] - E[t, m+1] - (E[t-1, m] - E[t-1, m+1]) > 0,  which neither gain nor a smooth
    filter changes. 129 frames every 20 ms lie around the centre of the speech's energy, which stays in place when the
    ends are trimmed; frames 20 dB below the loudest are masked.

    Source: Haitsma & Kalker 2002, "A highly robust audio fingerprinting system". Differs: one code of fixed size for
    each utterance, with a mask for pauses, instead of many for the blocks of long music.

    Shape
    -----
    waveform: [samples] float32 at 16 kHz.

    Example
    -------
    >>> sound = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    >>> similar_pairs([code_of(sound), code_of(0.1 * sound)], progress=False)
    [(0, 1, 1.0)]
    """
    middle = _centre(waveform)
    padded = np.pad(waveform.astype(np.float32), (REACH + 1) * HOP + WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[middle::HOP][: FRAMES + 1]
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * WINDOW / SAMPLE_RATE_HZ).astype(int)
    energy = np.add.reduceat(_power(frames)[:, : edges[-1]], edges[:-1], axis=1)  # [130, 33]
    total = energy.sum(axis=1)[1:]
    loud = (total > total.max(initial=0.0) * 10 ** (-QUIET_DB / 10)).astype(np.int8)
    slope = energy[:, :-1] - energy[:, 1:]
    bits = np.where(slope[1:] > slope[:-1], 1, -1).astype(np.int8)
    return Code(bits * loud[:, None], loud)


def _centre(waveform: np.ndarray) -> int:
    """Sample at the centre of the energy between 300 and 3200 Hz, above twice the noise floor."""
    size, hop = 512, 160
    padded = np.pad(waveform.astype(np.float32), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    energy = _power(frames)[:, size * int(LOW_HZ) // SAMPLE_RATE_HZ : size * int(HIGH_HZ) // SAMPLE_RATE_HZ]
    above = energy.sum(axis=1, dtype=np.float64)
    above = np.maximum(above - 2 * np.percentile(above, 20), 0)
    if not above.any():
        return len(waveform) // 2
    return round(float(np.arange(len(above)) @ above / above.sum()) * hop)


def _power(frames: np.ndarray) -> np.ndarray:
    bins = rfft(frames * np.hanning(frames.shape[1]).astype(np.float32), axis=1)
    return bins.real**2 + bins.imag**2


def similar_pairs(codes: Sequence[Code], progress: bool = True) -> list[tuple[int, int, float]]:
    """Every pair (i, j, share of equal bits), i < j, from ``ALIKE`` on, the most similar first."""
    block, found = 512, []
    for i in tqdm(range(0, len(codes), block), desc="comparing fingerprints", unit="block", disable=not progress):
        for j in range(i, len(codes), block):
            shares = _similarities(codes[i : i + block], codes[j : j + block])
            pairs = [(i + a, j + b, float(shares[a, b])) for a, b in np.argwhere(shares >= ALIKE).tolist()]
            found += [pair for pair in pairs if pair[0] < pair[1]]
    return sorted(found, key=lambda pair: -pair[2])


def _similarities(rows: Sequence[Code], columns: Sequence[Code]) -> np.ndarray:
    """Of each row and column, the share of equal bits in frames that are loud in both, at the best of the shifts.

    0 where there are too few such frames. Products of -1 and 1 count equal minus unequal bits.
    """
    bits, others = (np.stack([code.bits for code in codes]).astype(np.float32) for codes in (rows, columns))
    loud, theirs = (np.stack([code.loud for code in codes]).astype(np.float32) for codes in (rows, columns))
    enough = np.maximum(MIN_FRAMES, 0.6 * np.minimum(loud.sum(axis=1)[:, None], theirs.sum(axis=1)))
    best = np.zeros((len(rows), len(columns)), dtype=np.float32)
    for shift in SHIFTS:
        here = slice(max(0, shift), FRAMES + min(0, shift))
        there = slice(max(0, -shift), FRAMES + min(0, -shift))
        both = loud[:, here] @ theirs[:, there].T  # frames loud in both
        equal = bits[:, here].reshape(len(rows), -1) @ others[:, there].reshape(len(columns), -1).T
        share = 0.5 + 0.5 * equal / np.maximum(both * (BANDS - 1), 1)
        best = np.maximum(best, np.where(both >= enough, share, 0.0))
    return best


def codes_of(rows: Iterable[Utterance], progress: bool = True) -> tuple[dict[str, Code], list[str]]:
    """(ID -> code, what could not be read)."""
    codes, problems = {}, []
    for row in tqdm(list(rows), desc="fingerprints", unit="file", disable=not progress):
        try:
            codes[row.id] = code_of(read_audio(row.wav, row.start, row.stop or None))
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return codes, problems


def check_near(splits: Sequence[Split], progress: bool = True) -> list[Finding]:
    """No recording across a split is a near copy of another."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}
    codes, problems = codes_of(rows.values(), progress)
    every, found = counted(len(rows), "recording"), []
    if problems:
        found.append(_open(f"{len(problems)} of {every}: {problems[0]}"))
    short = [name for name, code in codes.items() if code.loud.sum() < MIN_FRAMES]
    if short:
        limit = f"below {MIN_FRAMES * HOP / SAMPLE_RATE_HZ:g} s of speech"
        found.append(_open(f"{len(short)} of {every}, first {short[0]}: {limit} fingerprints are not reliable."))
    names = [name for name in codes if name not in short]
    if len(names) < 2:
        return found
    pairs = [
        (rows[names[i]], rows[names[j]], share)
        for i, j, share in similar_pairs([codes[name] for name in names], progress)
    ]
    pairs = [pair for pair in pairs if not pair[0].sha256 or pair[0].sha256 != pair[1].sha256]  # check_identical's
    across = []
    for one, other, share in pairs:
        for split in splits if share >= COPY else ():
            if _divides(split, one, other):
                first, second = (one, other) if one.id in split.ids[0] else (other, one)
                sentence = f"{split.pair(first, second)} are copies by their sound ({100 * share:.0f} % of the bits "
                sentence += "agree, two takes of one actor reach 77 %); drop one."
                across.append(split.wrong("near copies", sentence))
    clear = f"no recording has a near copy across {counted(len(splits), 'split')} ({len(names)} fingerprints compared)."
    found += across or [Finding("proved", "near copies", clear)]
    divided = [any(_divides(split, one, other) for split in splits) for one, other, _ in pairs]
    inside = [pair for pair, apart in zip(pairs, divided) if pair[2] >= COPY and not apart]
    if inside:
        sentence = f"{_pairs(inside)} near copies, always on one side; the nearest: {_named(inside[0])}."
        found.append(Finding("warning", "near copies", sentence))
    alike = [pair for pair, apart in zip(pairs, divided) if pair[2] < COPY and apart]
    alike = [pair for pair in alike if pair[0].speaker != pair[1].speaker]  # no other speakers reach ALIKE
    if alike:
        sentence = f"{_pairs(alike)} more alike across a split than two speakers are; listen to {_named(alike[0])}."
        found.append(Finding("warning", "near copies", sentence))
    return [*found, Finding("not_proved", "near copies", NOT_COMPARED)]


def _open(why: str) -> Finding:
    return Finding("not_proved", "near copies", f"that no recording has a near copy, for {why}")


def _pairs(pairs: list) -> str:
    return f"{counted(len(pairs), 'pair')} of recordings {'is' if len(pairs) == 1 else 'are'}"


def _named(pair: tuple) -> str:
    one, other, share = pair
    return f"{one.id} and {other.id} ({100 * share:.0f} % of the bits agree)"


def _divides(split: Split, one: Utterance, other: Utterance) -> bool:
    train, test = split.ids
    return (one.id in train and other.id in test) or (other.id in train and one.id in test)
