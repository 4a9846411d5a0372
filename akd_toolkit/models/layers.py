"""Masks, masked norms and pooling: what students share so that padding never counts as speech.

``mask`` [batch, T] is True where a frame is speech; None means a batch without padding. ``pooled`` sums frames in
half precision in float32 where the mask is float32, ones and zeros.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from akd_toolkit.outputs import frame_mask


def halved(num_frames: Tensor | None) -> Tensor | None:
    """Frames left by a convolution of stride 2 that pads by one: ceil(n / 2); None stays None.

    Example
    -------
    >>> halved(torch.tensor([1, 4, 5]))
    tensor([1, 2, 3])
    """
    return None if num_frames is None else (num_frames + 1) // 2


class Packing:
    """Utterances of a batch one after another in a single row, so that convolutions do not compute padding.

    Utterance b starts at a multiple of ``stride`` and is followed by at least ``gap`` empty frames; where these are
    zeroed before each convolution (``masked``), each utterance has the same neighbours as in a padded batch.

    Arguments
    ---------
    num_frames
        Frames of each utterance, [batch].
    stride
        By how much the layers between ``packed`` and ``unpacked`` shorten time, a power of 2.
    gap
        Frames between two utterances, at least as many as a convolution looks to one side, counted before shortening.

    Example
    -------
    >>> row = Packing(torch.tensor([1, 2]), stride=2, gap=1)
    >>> x, mask = row.packed(torch.tensor([[[5.0], [0.0]], [[6.0], [7.0]]]))
    >>> x.flatten().tolist(), row.unpacked(x[:, ::2]).flatten().tolist()
    ([5.0, 0.0, 6.0, 7.0, 0.0, 0.0], [5.0, 6.0])
    """

    def __init__(self, num_frames: Tensor, stride: int, gap: int):
        self.num_frames, self.stride = num_frames, stride
        sizes = (num_frames + gap + stride - 1) // stride * stride
        self.starts = sizes.cumsum(0) - sizes
        self.total = int(sizes.sum())

    def packed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, T, D] -> [1, total, D], and where it is speech, [1, total]."""
        mask = frame_mask(self.num_frames, x.shape[1])
        places = (self.starts[:, None] + torch.arange(x.shape[1], device=x.device))[mask]
        row = x.new_zeros(self.total, x.shape[2]).index_copy(0, places, x[mask])
        speech = torch.zeros(self.total, dtype=torch.bool, device=x.device).index_fill(0, places, True)
        return row[None], speech[None]

    def unpacked(self, x: Tensor) -> Tensor:
        """[1, total / stride, D] -> [batch, T, D], 0 in the padding."""
        counts = (self.num_frames + self.stride - 1) // self.stride
        frames = torch.arange(int(counts.max()), device=x.device)
        places = (self.starts[:, None] // self.stride + frames).clamp(max=x.shape[1] - 1)
        return masked(x[0, places], frame_mask(counts, len(frames)))


def masked(x: Tensor, mask: Tensor | None, time: int = 1) -> Tensor:
    """Zero in the padding; ``time`` is the axis of x that holds the frames.

    Example
    -------
    >>> mask = torch.tensor([[True, False]])
    >>> masked(torch.ones(1, 2, 1), mask).shape, masked(torch.ones(1, 3, 2), mask, time=2)[0, 0]
    (torch.Size([1, 2, 1]), tensor([1., 0.]))
    """
    if mask is None:
        return x
    ones_before, ones_after = [None] * (time - 1), [None] * (x.dim() - time - 1)
    return x * mask[(slice(None), *ones_before, slice(None), *ones_after)]


def speech_share(mask: Tensor | None) -> Tensor | None:
    """Share of the frames that is speech, ``lengths`` of a ``ModelOutput``: [batch], or None.

    Example
    -------
    >>> speech_share(torch.tensor([[True, True, False, False]]))
    tensor([0.5000])
    """
    return None if mask is None else mask.float().mean(dim=1)


def speech_mean(frames: Tensor, mask: Tensor | None, time: int = 1) -> Tensor:
    """Mean over the speech frames along axis ``time``: [batch, T, D] or [batch, D, T] -> [batch, D].

    Example
    -------
    >>> speech_mean(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    if mask is None:
        return frames.mean(dim=time)
    return masked(frames, mask, time).sum(dim=time) / mask.sum(dim=1, keepdim=True)


def pooled(frames: Tensor, mask: Tensor | None, time: int = 1, floor: float = 1e-5) -> Tensor:
    """Mean, standard deviation and maximum over the speech frames along axis ``time``: [batch, 3 D].

    deviation = sqrt(variance + floor): the floor keeps the gradient finite where all frames are alike.

    Example
    -------
    >>> pooled(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.0000, 1.0000, 3.0000]])
    """
    mean = speech_mean(frames, mask, time)
    variance = speech_mean((frames - mean.unsqueeze(time)).square(), mask, time)
    peak = frames if mask is None else frames.masked_fill(mask.unsqueeze(3 - time) == 0, float("-inf"))
    return torch.cat([mean, (variance + floor).sqrt(), peak.amax(dim=time)], dim=-1)


def mean_and_deviation(frames: Tensor, mask: Tensor, floor: float = 1e-8) -> Tensor:
    """Mean and standard deviation, sqrt(variance + floor), over the speech frames: [batch, T, D] -> [batch, 2 D].

    Frames are divided by their number before they are summed, unlike in ``pooled``: stored heads and released students
    were fitted on exactly these numbers.

    Example
    -------
    >>> mean_and_deviation(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2., 1.]])
    """
    weight = (mask.to(frames.dtype) / mask.sum(dim=1, keepdim=True))[:, :, None]
    mean = (frames * weight).sum(dim=1)
    variance = ((frames - mean[:, None]).square() * weight).sum(dim=1)
    return torch.cat([mean, (variance + floor).sqrt()], dim=1)  # see ``pooled``


def convolved(conv: nn.Module, x: Tensor) -> Tensor:
    """Convolution of [batch, T, C] or [batch, T, F, C], whose channels are last."""
    return conv(x.movedim(-1, 1)).movedim(1, -1)


def normalized(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Batch norm of [batch, T, C] or [batch, T, F, C] by the statistics of speech alone; zero in the padding.

    Example
    -------
    >>> norm = nn.BatchNorm1d(1).train()
    >>> x, mask = torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]])
    >>> normalized(norm, x, mask).detach().squeeze()
    tensor([-1.0000,  1.0000,  0.0000])
    """
    channels = x.shape[-1]
    if mask is None or not norm.training:
        return masked(_norm_of_rows(norm, x.reshape(-1, channels)).reshape(x.shape), mask)
    frames = x.flatten(2).flatten(0, 1)  # [batch * T, F * C]; whole frames are quick to take out and to put back
    speech = mask.flatten().nonzero()[:, 0]
    rows = _norm_of_rows(norm, frames.index_select(0, speech).reshape(-1, channels)).reshape(len(speech), -1)
    return torch.zeros_like(frames).index_copy(0, speech, rows).reshape(x.shape)


def normalized_channels_first(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """``normalized`` for [batch, C, T] or [batch, C, T, F]; in evaluation the plain norm, which exports merge with a
    convolution before it."""
    if mask is None or not norm.training:
        return norm(x)
    return normalized(norm, x.movedim(1, -1), mask).movedim(-1, 1)


def _norm_of_rows(norm: nn.Module, rows: Tensor) -> Tensor:
    """Batch norm of [N, C]; for a norm of images each row is an image of one pixel."""
    return norm(rows[..., None, None]).flatten(1) if isinstance(norm, nn.BatchNorm2d) else norm(rows)


def convolved_and_normalized(conv: nn.Module, norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    """Convolution, then ``normalized``; in evaluation the norm follows the convolution directly, channels first.

    There an exported file merges the two.
    """
    if norm.training:
        return normalized(norm, convolved(conv, x), mask)
    statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
    return masked(F.batch_norm(conv(x.movedim(-1, 1)), *statistics, eps=norm.eps).movedim(1, -1), mask)
