"""Power spectra of overlapping frames from operations on real numbers only, so that they can be exported."""

import math

import torch
from torch import Tensor, nn


def power_of(window: int, hop: int, first_bin: int, last_bin: int) -> nn.Module:
    """The fastest way to the power of bins ``first_bin`` to ``last_bin - 1`` that suits this window and hop."""
    way = FoldedPower if FoldedPower.suits(window) else ConvolvedPower
    return way(window, hop, first_bin, last_bin)


class ConvolvedPower(nn.Module):
    """Power spectrum by one convolution with the window's cosines and sines, for any window and hop.

    power[t, k] = |sum_n hann[n] x[t * hop + n] exp(-2 pi i k n / window)|^2

    Costs 2 * window multiplications a bin and frame.

    Shape
    -----
    waveform: [batch, samples]. Returns [batch, T, bins] with T = 1 + (samples - window) // hop; bin ``order[j]`` is in
    column j.

    Example
    -------
    >>> ConvolvedPower(4, 2, 0, 2)(torch.ones(1, 4))  # hann = 0, 1/2, 1, 1/2: |2|^2 and |0 - i/2 - 1 + i/2|^2
    tensor([[[4., 1.]]])
    """

    def __init__(self, window: int, hop: int, first_bin: int, last_bin: int):
        super().__init__()
        self.hop = hop
        self.order = torch.arange(first_bin, last_bin)
        kernels = dft_kernels(window, first_bin, last_bin)
        self.register_buffer("kernels", kernels, persistent=False)  # [2 * bins, 1, window]

    def forward(self, waveform: Tensor) -> Tensor:
        parts = nn.functional.conv1d(waveform[:, None], self.kernels, stride=self.hop)  # [batch, 2 * bins, T]
        real, imaginary = parts.square().chunk(2, dim=1)
        return (real + imaginary).transpose(1, 2)


class FoldedPower(nn.Module):
    """The same numbers with a quarter of the multiplications: the frame is folded twice before it meets the cosines.

    With c counted from the middle of the frame, e[c] = w[c] + w[-c] and o[c] = w[c] - w[-c] of the windowed frame w,
    and h = window / 2, cos and sin of 2 pi k c / window repeat between c and h - c up to the sign of k's parity:

    power[k even] = |sum_c (e[c] + e[h - c]) cos|^2 + |sum_c (o[c] - o[h - c]) sin|^2,   c = 0 .. h / 2
    power[k odd]  = |sum_c (e[c] - e[h - c]) cos|^2 + |sum_c (o[c] + o[h - c]) sin|^2

    where a term that both halves of a fold share (c = 0, c = h / 2) counts half. A power does not depend on where time
    begins. The four runs of samples that are folded onto each other are read from the waveform and its mirror image,
    each cut into rows of ``hop`` samples, so that frames are not copied whole.

    Source: the symmetries behind the fast Fourier transform (Cooley & Tukey 1965), two steps of them.

    Shape
    -----
    As ``ConvolvedPower``; even bins come first.

    Example
    -------
    >>> x = torch.arange(12.0)[None] / 10
    >>> folded, plain = FoldedPower(8, 4, 0, 5), ConvolvedPower(8, 4, 0, 5)
    >>> folded.order, torch.allclose(folded(x), plain(x)[..., folded.order])
    (tensor([0, 2, 4, 1, 3]), True)
    """

    def __init__(self, window: int, hop: int, first_bin: int, last_bin: int):
        super().__init__()
        if not FoldedPower.suits(window):
            raise ValueError(f"a window of {window} samples cannot be folded twice; give a multiple of 4.")
        self.window, self.hop = window, hop
        self.run = window // 4 + 1  # samples that are folded onto each other
        self.mirror = _best_mirror(window, hop)
        bins = torch.arange(first_bin, last_bin)
        even, odd = bins[bins % 2 == 0], bins[bins % 2 == 1]
        self.order = torch.cat([even, odd])
        hann = torch.hann_window(window, dtype=torch.float64)
        half = window // 2
        for name, values in {
            "outer": hann[: self.run],  # of the frame's ends
            "inner": hann[half : half + self.run],  # of its middle
            "even_cos": folded_cosines(window, even, shared=(0, self.run - 1)),
            "even_sin": folded_cosines(window, even, lag=window // 4),
            "odd_cos": folded_cosines(window, odd, shared=(0,)),
            "odd_sin": folded_cosines(window, odd, shared=(self.run - 1,), lag=window // 4),
        }.items():
            self.register_buffer(name, values.float(), persistent=False)

    @staticmethod
    def suits(window: int) -> bool:
        """Whether the window can be folded twice."""
        return window % 4 == 0

    def forward(self, waveform: Tensor) -> Tensor:
        num_frames = 1 + (waveform.shape[1] - self.window) // self.hop
        half = self.window // 2
        # Row r holds x[r * hop + j], j = 0 .. hop - 1.
        start, after = self._runs(waveform, num_frames, [divmod(at, self.hop) for at in (0, half)])  # x[c], x[h + c]
        # Row r of the mirror image holds x[r * hop + mirror - j]. The last sample of a frame's mirror image lies one
        # beyond the frame, where the window is 0.
        places = [_place(at, self.mirror, self.hop) for at in (half, self.window)]
        before, end = self._runs(waveform, num_frames, places, self.mirror)  # x[h - c], x[window - c]
        near_even, near_odd = (after + before) * self.inner, (after - before) * self.inner  # e[c], o[c]
        far_even, far_odd = (end + start) * self.outer, (end - start) * self.outer  # e[h - c], o[h - c]
        even = ((near_even + far_even) @ self.even_cos).square() + ((near_odd - far_odd) @ self.even_sin).square()
        odd = ((near_even - far_even) @ self.odd_cos).square() + ((near_odd + far_odd) @ self.odd_sin).square()
        return torch.cat([even, odd], dim=2)

    def _runs(self, waveform: Tensor, num_frames: int, places: list, mirror: int | None = None) -> list[Tensor]:
        """``run`` samples of every frame from each place (row, column) on, in rows of ``hop``: [batch, T, run] each."""
        spans = [_rows_spanned(column, self.run, self.hop) for _, column in places]
        step = 1 if mirror is None else -1  # where a run goes on that meets the end of its row
        below = max(row + (span - 1) * (step > 0) for (row, _), span in zip(places, spans))  # rows beyond a frame's own
        first, last = (0, self.hop - 1) if mirror is None else (mirror - self.hop + 1, mirror)
        beyond = below * self.hop + last - (self.window - 1)  # samples needed after the last frame
        sound = nn.functional.pad(waveform, (0, beyond)) if beyond > 0 else waveform
        total = num_frames + below
        rows = sound[:, first : first + total * self.hop].unflatten(1, (total, self.hop))
        rows = rows if mirror is None else rows.flip(2)
        found = []
        for (row, column), span in zip(places, spans):
            parts = [rows[:, row + i * step : row + i * step + num_frames] for i in range(span)]
            wide = torch.cat(parts, dim=2) if span > 1 else parts[0]
            found.append(wide[:, :, column : column + self.run])
        return found


def folded_cosines(window: int, bins: Tensor, shared: tuple[int, ...] = (), lag: int = 0) -> Tensor:
    """cos(2 pi (k c - lag) / window) for c = 0 .. window / 4 and bins k: [window / 4 + 1, bins].

    Rows ``shared`` are halved. A lag of window / 4 makes the cosines sines.

    Example
    -------
    >>> folded_cosines(8, torch.tensor([0, 2]), shared=(0,))
    tensor([[ 0.5000,  0.5000],
            [ 1.0000,  0.0000],
            [ 1.0000, -1.0000]], dtype=torch.float64)
    >>> folded_cosines(8, torch.tensor([1, 2]), lag=2)[1]
    tensor([0.7071, 1.0000], dtype=torch.float64)
    """
    values = cosines_of_a_turn(window)[(torch.outer(torch.arange(window // 4 + 1), bins) - lag) % window]
    values[list(shared)] /= 2
    return values


def cosines_of_a_turn(window: int) -> Tensor:
    """cos(2 pi n / window) for n = 0 .. window - 1, exactly 0 at a quarter turn.

    Phases are reduced to a turn in integers, exactly, so that no digit is lost however many turns k c makes.
    """
    turn = torch.cos(2 * math.pi * torch.arange(window, dtype=torch.float64) / window)
    turn[[window // 4, 3 * window // 4]] = 0.0
    return turn


def dft_kernels(window: int, first_bin: int, last_bin: int) -> Tensor:
    """Cosines, then sines, of bins first_bin to last_bin - 1 times a Hann window: [2 * bins, 1, window].

    Example
    -------
    >>> dft_kernels(4, 0, 1)[0, 0]  # bin 0 is the window itself; the sine of it is 0
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    samples = torch.arange(window, dtype=torch.float64)
    # The phase is reduced in integers, exactly, so that no digit is lost however many turns k * n makes.
    turns = torch.outer(torch.arange(first_bin, last_bin), torch.arange(window)) % window
    phase = 2 * math.pi * turns.double() / window
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * samples / window)
    return (torch.cat([phase.cos(), phase.sin()]) * hann).float()[:, None]


def _best_mirror(window: int, hop: int) -> int:
    """Where rows of the mirror image begin, so that its two runs are cut by as few ends of rows as can be."""

    def spanned(mirror: int) -> int:
        columns = [_place(at, mirror, hop)[1] for at in (window // 2, window)]
        return sum(_rows_spanned(column, window // 4 + 1, hop) for column in columns)

    # The first row begins at sample 0 or later, and at or before the first sample that is read, x[window / 4].
    return min(range(hop - 1, hop + min(hop - 1, window // 4)), key=spanned)


def _place(at: int, mirror: int, hop: int) -> tuple[int, int]:
    """Row and column of sample ``at`` of frame 0 in the mirror image: at = row * hop + mirror - column."""
    row = max(0, -(-(at - mirror) // hop))
    return row, row * hop + mirror - at


def _rows_spanned(column: int, length: int, hop: int) -> int:
    """How many rows of ``hop`` samples a run touches that begins in ``column``."""
    return -(-(column + length) // hop)
