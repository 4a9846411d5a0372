"""What losses on frames and embeddings share: one length of time for both sides, and directions without a length."""

import torch
from torch import Tensor

from akd_toolkit.outputs import TeacherOutput, valid_frames


def time_shares(frames: Tensor, lengths: Tensor | None, num_frames: int) -> Tensor:
    """How far each of T frames lies in each of ``num_frames`` stretches of speech, [batch, num_frames, T].

    The speech of each utterance, its first lengths[b] * T frames, is cut into stretches of one length; a frame that
    lies in two of them counts in each for the share that lies there. Padding lies in none. Of ``frames`` only the shape
    and the device are looked at.

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
    """Frames [batch, T, D] as the means of stretches of speech, [batch, num_frames, D] in float32.

    Example
    -------
    >>> frames = torch.tensor([[[1.0], [2.0], [6.0], [9.0]]])
    >>> averaged(frames, time_shares(frames, torch.tensor([0.75]), num_frames=1))  # 9 is padding
    tensor([[[3.]]])
    """
    counts = shares.sum(dim=-1, keepdim=True)  # [batch, F, 1]
    if frames.dtype != torch.bfloat16:  # has the range of float32, and half its cost; float16 ends at 65504
        frames = frames.float()
    shares = shares.to(frames.dtype)
    with torch.autocast(frames.device.type, enabled=False):
        # A convolution's frames lie in memory time by time: multiplied that way round, so does their gradient.
        by_time = frames.stride(1) == 1
        sums = (frames.mT @ shares.mT).mT if by_time else shares @ frames
    return sums.float() / counts


def unit(vectors: Tensor) -> Tensor:
    """Vectors divided by their length, in float32; one of length 0 has no direction, stays 0 and gets no gradient.

    Example
    -------
    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    squares = vectors.float().square().sum(dim=-1, keepdim=True)
    some = squares > 1e-12
    return torch.where(some, vectors.float() * torch.where(some, squares, 1.0).rsqrt(), 0.0)


def check_all_have(what: str, sizes: list[int], num_teachers: int, loss: str) -> None:
    """Refuse teachers of whom some have no frames or embeddings."""
    if not sizes or len(sizes) != num_teachers:
        raise ValueError(
            f"loss '{loss}' needs {what} of every teacher, but {len(sizes)} of {num_teachers} have them; "
            "leave the others out, or take this loss out."
        )


def check_frames(teacher: TeacherOutput, loss: str) -> None:
    """Refuse a batch in which some teacher has no frames."""
    check_all_have("frames", [frames.shape[-1] for frames in teacher.frames], len(teacher), loss)
