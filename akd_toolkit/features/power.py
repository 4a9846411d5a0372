"""Power spectra of overlapping frames from real operations alone: what an exported file can hold and run fast."""

import math

import torch
from torch import Tensor, nn


def power_of(window: int, hop: int, first_bin: int, last_bin: int) -> nn.Module:
    """The fastest way to the power of bins ``first_bin`` to ``last_bin - 1`` that suits this window and hop."""
    way = FoldedPower if FoldedPower.suits(window, hop) else ConvolvedPower
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
    begins. The four runs of samples that are folded onto each other lie in rows of ``hop`` samples, of the waveform and
    of its mirror image, so that no frame is ever copied whole.

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
        mirror = _mirror(window, hop)
        if mirror is None:
            raise ValueError(
                f"a window of {window} and a hop of {hop} samples cannot be folded; see FoldedPower.suits."
            )
        self.window, self.hop, self.mirror = window, hop, mirror
        self.run = window // 4 + 1  # samples that are folded onto each other
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
    def suits(window: int, hop: int) -> bool:
        """Whether the window divides by 4 and its four runs each lie within a row of ``hop`` samples."""
        return _mirror(window, hop) is not None

    def forward(self, waveform: Tensor) -> Tensor:
        half, run = self.window // 2, self.run
        num_frames = 1 + (waveform.shape[1] - self.window) // self.hop
        rows, column = divmod(half, self.hop)
        ahead = waveform[:, : (num_frames + rows) * self.hop].unflatten(1, (num_frames + rows, self.hop))
        start = ahead[:, :num_frames, :run]  # x[c]
        after = ahead[:, rows:, column : column + run]  # x[h + c]
        # Row r of the mirror image holds x[r * hop + mirror - j], j = 0 .. hop - 1. The very last sample of a frame's
        # mirror image, x[window], lies one beyond the frame; the window is 0 there.
        (row, column), (last_row, last_column) = (_place(at, self.mirror, self.hop) for at in (half, self.window))
        first, total = self.mirror - self.hop + 1, num_frames + max(row, last_row)
        behind = nn.functional.pad(waveform, (0, 1))[:, first : first + total * self.hop]
        behind = behind.unflatten(1, (total, self.hop)).flip(2)
        before = behind[:, row : row + num_frames, column : column + run]  # x[h - c]
        end = behind[:, last_row : last_row + num_frames, last_column : last_column + run]  # x[window - c]
        near_even, near_odd = (after + before) * self.inner, (after - before) * self.inner  # e[c], o[c]
        far_even, far_odd = (end + start) * self.outer, (end - start) * self.outer  # e[h - c], o[h - c]
        even = ((near_even + far_even) @ self.even_cos).square() + ((near_odd - far_odd) @ self.even_sin).square()
        odd = ((near_even - far_even) @ self.odd_cos).square() + ((near_odd + far_odd) @ self.odd_sin).square()
        return torch.cat([even, odd], dim=2)


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


def _mirror(window: int, hop: int) -> int | None:
    """Where rows of the mirror image begin, so that no run is cut by a row's end; None where there is no such place."""
    run = window // 4 + 1
    if window % 4 or not run <= hop <= window // 2 or (window // 2) % hop + run > hop:
        return None
    for mirror in range(hop - 1, 2 * hop - 1):
        if all(_place(at, mirror, hop)[1] + run <= hop for at in (window // 2, window)):
            return mirror
    return None


def _place(at: int, mirror: int, hop: int) -> tuple[int, int]:
    """Row and column of sample ``at`` of frame 0 in the mirror image: at = row * hop + mirror - column."""
    row = max(0, -(-(at - mirror) // hop))
    return row, row * hop + mirror - at
