"""Audio fingerprints: they find copies that were made louder or noisier, resampled, encoded or trimmed."""

from collections.abc import Sequence

import numpy as np
from scipy.fft import rfft

from akd_toolkit.data.audio import SAMPLE_RATE_HZ, read_audio
from akd_toolkit.data.names import counted
from akd_toolkit.data.verdicts import Finding, Split
from akd_toolkit.progress import tqdm

WINDOW, HOP = 4096, 320  # samples at 16 kHz: 256 ms every 20 ms
REACH = 64  # frames before and after the middle: 1.28 s each
FRAMES = 2 * REACH + 1
BANDS = 33  # a frame has one bit less
LOW_HZ, HIGH_HZ = 300.0, 3200.0  # the band of a telephone
QUIET_DB = 20.0  # frames this far below the loudest are masked
SHIFTS = range(-3, 4)  # frames by which the middles of two copies may differ
MIN_FRAMES = 25  # unmasked in both, 0.5 s
COPY = 0.80  # share of equal bits from which two recordings are copies
BLOCK = 512  # codes that are compared at once
NOT_COMPARED = (
    "that no recording is a part of a longer one, or a copy at another speed or pitch: fingerprints compare whole "
    "recordings."
)


def code_of(waveform: np.ndarray) -> np.ndarray:
    """The code of a recording.

    E[t, m] is the energy of frame t (256 ms, Hann) in band m of 33 between 300 and 3200 Hz, equally wide in octaves.
    Bit m of frame t says whether  E[t, m] - E[t, m+1] - (E[t-1, m] - E[t-1, m+1]) > 0,  which neither gain nor a smooth
    filter changes. 129 frames every 20 ms lie around the centre of the speech's energy, which stays in place when the
    ends are trimmed; frames 20 dB below the loudest are masked. [samples] float32 at 16 kHz gives [129, 32] int8: -1 or
    1, and 0 in masked frames.

    Source: Haitsma & Kalker 2002, "A highly robust audio fingerprinting system". Differs: one code of fixed size for
    each utterance, with a mask for pauses, instead of many for the blocks of long music.

    Example
    -------
    >>> sound = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    >>> similar_pairs([code_of(sound), code_of(0.1 * sound)], progress=False)
    [(0, 1, 1.0)]
    """
    padding = (REACH + 1) * HOP + WINDOW // 2
    power = _power(np.pad(waveform, padding)[_centre(waveform) :], WINDOW, HOP)[: FRAMES + 1]
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * WINDOW / SAMPLE_RATE_HZ).astype(int)
    energy = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)  # [130, 33]
    total = energy.sum(axis=1)[1:]
    loud = total > total.max() * 10 ** (-QUIET_DB / 10)
    slope = energy[:, :-1] - energy[:, 1:]
    return np.where(slope[1:] > slope[:-1], 1, -1).astype(np.int8) * loud[:, None]


def _centre(waveform: np.ndarray) -> int:
    """Sample at the centre of the energy between 300 and 3200 Hz, above twice the noise floor."""
    size, hop = 512, 160
    low, high = (size * int(hz) // SAMPLE_RATE_HZ for hz in (LOW_HZ, HIGH_HZ))
    above = _power(np.pad(waveform, size // 2), size, hop)[:, low:high].sum(axis=1, dtype=np.float64)
    above = np.maximum(above - 2 * np.percentile(above, 20), 0)
    if not above.any():
        return len(waveform) // 2
    return round(float(np.arange(len(above)) @ above / above.sum()) * hop)


def _power(padded: np.ndarray, size: int, hop: int) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(padded.astype(np.float32), size)[::hop]
    bins = rfft(frames * np.hanning(size).astype(np.float32), axis=1)
    return bins.real**2 + bins.imag**2


def similar_pairs(codes: Sequence[np.ndarray], progress: bool = True) -> list[tuple[int, int, float]]:
    """Every pair of copies (i, j, share of equal bits), i < j, the most similar first."""
    found = []
    for i in tqdm(range(0, len(codes), BLOCK), desc="comparing fingerprints", unit="block", disable=not progress):
        for j in range(i, len(codes), BLOCK):
            shares = _similarities(*(np.stack(codes[at : at + BLOCK]).astype(np.float32) for at in (i, j)))
            found += [(i + a, j + b, float(shares[a, b])) for a, b in np.argwhere(shares >= COPY).tolist()]
    return sorted((pair for pair in found if pair[0] < pair[1]), key=lambda pair: -pair[2])


def _similarities(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Of each row and column, the share of equal bits in frames that are unmasked in both, at the best of the shifts.

    0 where there are too few such frames. Products of -1 and 1 count equal minus unequal bits.
    """
    loud, theirs = np.abs(rows[:, :, 0]), np.abs(columns[:, :, 0])
    enough = np.maximum(MIN_FRAMES, 0.6 * np.minimum(loud.sum(axis=1)[:, None], theirs.sum(axis=1)))
    best = np.zeros((len(rows), len(columns)), dtype=np.float32)
    for shift in SHIFTS:
        here = slice(max(0, shift), FRAMES + min(0, shift))
        there = slice(max(0, -shift), FRAMES + min(0, -shift))
        both = loud[:, here] @ theirs[:, there].T  # frames unmasked in both
        equal = rows[:, here].reshape(len(rows), -1) @ columns[:, there].reshape(len(columns), -1).T
        share = 0.5 + 0.5 * equal / np.maximum(both * (BANDS - 1), 1)
        best = np.maximum(best, np.where(both >= enough, share, 0.0))
    return best


def check_near(splits: Sequence[Split], progress: bool = True) -> list[Finding]:
    """No recording across a split is a near copy of another."""
    rows = {row.id: row for split in splits for row in (*split.train, *split.test)}
    codes, problems, found, inside = {}, [], [], []
    for row in tqdm(rows.values(), desc="fingerprints", unit="file", disable=not progress):
        try:
            code = code_of(read_audio(row.wav, row.start, row.stop or None))
            if code.any(axis=1).sum() < MIN_FRAMES:
                limit = f"below {MIN_FRAMES * HOP / SAMPLE_RATE_HZ:g} s of speech fingerprints are not reliable"
                raise ValueError(f"{row.id}: {limit}.")
            codes[row.id] = code
        except (OSError, ValueError) as error:
            problems.append(str(error))
    names = list(codes)
    for i, j, share in similar_pairs([*codes.values()], progress):
        one, other = rows[names[i]], rows[names[j]]
        if one.sha256 and one.sha256 == other.sha256:
            continue  # check_identical reports it
        how = f"are copies by their sound ({100 * share:.0f} % of the bits agree, two takes of one actor reach 77 %)"
        across = [(split, a, b) for split in splits for a, b in ((one, other), (other, one)) if split.divides(a, b)]
        found += [split.wrong("near copies", f"{split.pair(a, b)} {how}; drop one.") for split, a, b in across]
        inside += [] if across else [f"{one.id} and {other.id} {how}"]
    clear = not found and len(names) > 1
    if inside:
        sentence = f"{counted(len(inside), 'pair')} of near copies, always on one side; the nearest: {inside[0]}."
        found.append(Finding("warning", "near copies", sentence))
    if clear:
        compared = f"{counted(len(splits), 'split')} ({len(names)} fingerprints compared)"
        found.append(Finding("proved", "near copies", f"no recording has a near copy across {compared}."))
    if problems:
        sentence = f"that no recording has a near copy, for {len(problems)} of {len(rows)} recordings: {problems[0]}"
        found.append(Finding("not_proved", "near copies", sentence))
    return [*found, Finding("not_proved", "near copies", NOT_COMPARED)] if len(names) > 1 else found
