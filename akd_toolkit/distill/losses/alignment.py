"""For losses on frames and embeddings: both sides cut into the same stretches of time, and vectors of unit length."""

import torch
from torch import Tensor

from akd_toolkit.outputs import valid_frames


def time_shares(frames: Tensor, lengths: Tensor | None, num_frames: int) -> Tensor:
    """How much of each of T frames lies in each of ``num_frames`` stretches of speech, [batch, num_frames, T].

    The speech of utterance b, its first lengths[b] * T frames, is cut into stretches of equal time. A frame that lies
    in two of them counts in each by its share there, padding in none. Only shape and device of ``frames`` are used.

    Example
    -------
    >>> time_shares(torch.zeros(1, 4, 1), torch.tensor([0.75]), num_frames=2)  # three frames: the middle one is halved
    tensor([[[1.0000, 0.5000, 0.0000, 0.0000],
             [0.0000, 0.5000, 1.0000, 0.0000]]])
    """
    batch, total = frames.shape[:2]
    lengths = torch.ones(batch) if lengths is None else lengths.float()
    num_valid = valid_frames(lengths.to(frames.device), total)[:, None, None]
    ends = torch.arange(num_frames + 1, device=frames.device)[:, None] * num_valid / num_frames  # [batch, F + 1, 1]
    return (ends - torch.arange(total, device=frames.device)).clamp(0, 1).diff(dim=1)


def averaged(frames: Tensor, shares: Tensor) -> Tensor:
    """Means of frames [batch, T, D] over stretches of speech: [batch, num_frames, D] in float32."""
    counts = shares.sum(dim=-1, keepdim=True)  # [batch, F, 1]
    if frames.dtype != torch.bfloat16:  # has the range of float32 at half the cost; float16 ends at 65504
        frames = frames.float()
    shares = shares.to(frames.dtype)
    with torch.autocast(frames.device.type, enabled=False):
        # Frames of a convolution are contiguous in time; multiplied this way round, their gradient is as well.
        by_time = frames.stride(1) == 1
        sums = (frames.mT @ shares.mT).mT if by_time else shares @ frames
    return sums.float() / counts


def unit(vectors: Tensor) -> Tensor:
    """Vectors divided by their length, in float32; a zero vector stays 0 and gets no gradient."""
    squares = vectors.float().square().sum(dim=-1, keepdim=True)
    nonzero = squares > 1e-12
    return torch.where(nonzero, vectors.float() * torch.where(nonzero, squares, 1.0).rsqrt(), 0.0)
