"""Layers of the hybrid transformer; in each of them padding does not affect speech."""

import torch
from torch import nn
from torch.nn import functional as F

from akd_toolkit.models.layers import convolved_and_normalized, masked


class DownConv(nn.Module):
    """Convolution that halves time and frequency: [B, T, F, C] -> [B, ceil(T / 2), ceil(F / 2), C'].

    Here and in ``ConvBlock`` the padding of what comes in is zero, and so is that of what goes out.
    """

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(channels_out)

    def forward(self, x, mask_out):
        return convolved_and_normalized(self.conv, self.norm, x, mask_out)


class ConvBlock(nn.Module):
    """Two convolutions and a skip connection: [B, T, F, C] -> [B, T, F, C]."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_out = nn.BatchNorm1d(channels)

    def forward(self, x, mask):
        y = F.relu(convolved_and_normalized(self.conv1, self.norm, F.relu(x), mask))
        return F.relu(x + convolved_and_normalized(self.conv2, self.norm_out, y, mask))


class AttentionBlock(nn.Module):
    """Convolution over neighbours, self-attention, feed-forward; each a residual branch.

    The convolution, which ``neighbours`` turns on, gives attention the order of its tokens. The outputs of the
    other two begin small, so that the model begins as a convolutional one, which few utterances can teach.

    x: [batch, T, dim] -> [batch, T, dim]. mask: True where a frame may be attended to, [batch, T], or None for all.
    """

    def __init__(self, dim, heads, mlp_ratio, drop_path, neighbours):
        super().__init__()
        self.heads = heads
        self.drop_path = drop_path
        self.conv = nn.Conv1d(dim, dim, 3, padding=1, bias=False) if neighbours else None
        self.conv_norm = nn.BatchNorm1d(dim) if neighbours else None
        self.norm1 = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        hidden = int(mlp_ratio * dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.feed_forward[-1].weight.mul_(0.1)

    def forward(self, x, mask):
        if self.conv is not None:
            x = x + F.relu(convolved_and_normalized(self.conv, self.conv_norm, masked(x, mask), mask))
        x = x + self._keep(self._attend(self.norm1(x), mask))
        return x + self._keep(self.feed_forward(self.norm2(x)))

    def _attend(self, x, mask):
        batch, num_frames, dim = x.shape
        heads = self.query_key_value(x).reshape(batch, num_frames, 3, self.heads, dim // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [batch, heads, T, dim / heads]
        # Written out, because the fused kernel's backward pass in half precision is five times slower on a CPU.
        scores = (query * (dim // self.heads) ** -0.5) @ key.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        x = torch.softmax(scores, dim=-1) @ value
        return self.project(x.transpose(1, 2).reshape(batch, num_frames, dim))

    def _keep(self, branch):
        """Stochastic depth: in training the branch of random rows is left out, and the others are scaled up."""
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.drop_path
        return branch * (kept / (1 - self.drop_path)).to(branch.dtype)


def hidden_run(x, axis, share):
    """0 in one run along ``axis``, of random place and of random length up to ``share`` of it, 1 elsewhere.

    Shape
    -----
    x: [batch, T, F, channels]. axis: 1 (time) or 2 (frequency). Returns [batch, T, 1, 1] or [batch, 1, F, 1].

    Example
    -------
    >>> hidden_run(torch.ones(2, 5, 4, 1), axis=2, share=0.0).squeeze()  # nothing may be hidden
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    size = x.shape[axis]
    length, place = torch.rand(2, x.shape[0], 1, device=x.device)
    length = (length * share * size).floor()
    start = (place * (size - length + 1)).floor()
    position = torch.arange(size, device=x.device)
    kept = ((position < start) | (position >= start + length)).to(x.dtype)
    return kept[:, :, None, None] if axis == 1 else kept[:, None, :, None]
