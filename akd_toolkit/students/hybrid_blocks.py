"""Layers of the hybrid transformer; every one leaves padding without a say in speech."""

import torch
from torch import nn
from torch.nn import functional as F


class DownConv(nn.Module):
    """Convolution that halves time and frequency: [B, C, T, F] -> [B, C', ceil(T / 2), ceil(F / 2)]."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(channels_out)

    def forward(self, x, mask, mask_out):
        return normalized_map(self.norm, self.conv(masked_map(x, mask)), mask_out)


class ConvBlock(nn.Module):
    """Two convolutions and a skip connection: [B, C, T, F] -> [B, C, T, F]."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_out = nn.BatchNorm1d(channels)

    def forward(self, x, mask):
        y = self.conv1(masked_map(F.relu(x), mask))
        y = self.conv2(masked_map(F.relu(normalized_map(self.norm, y, mask)), mask))
        return F.relu(x + normalized_map(self.norm_out, y, mask))


class AttentionBlock(nn.Module):
    """Convolution over neighbours, self-attention, feed-forward; each a residual branch.

    The convolution, where ``neighbours`` asks for one, tells attention the order of its tokens. The outputs of the
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
            near = self.conv(masked(x, mask).transpose(1, 2)).transpose(1, 2)
            x = x + F.relu(normalized(self.conv_norm, near, mask))
        x = x + self._keep(self._attend(self.norm1(x), mask))
        return x + self._keep(self.feed_forward(self.norm2(x)))

    def _attend(self, x, mask):
        batch, num_frames, dim = x.shape
        heads = self.query_key_value(x).reshape(batch, num_frames, 3, self.heads, dim // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        attend = None if mask is None else mask[:, None, None, :]
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=attend)
        return self.project(x.transpose(1, 2).reshape(batch, num_frames, dim))

    def _keep(self, branch):
        """Stochastic depth: the branch of whole rows left out in training, the others scaled up for it."""
        if not self.training or self.drop_path == 0:
            return branch
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


def hidden_run(x, axis, share):
    """0 in one run along ``axis``, of random place and of random length up to ``share`` of it, 1 elsewhere.

    Shape
    -----
    x: [batch, channels, T, F]. axis: 2 (time) or 3 (frequency). Returns [batch, 1, T, 1] or [batch, 1, 1, F].

    Example
    -------
    >>> hidden_run(torch.ones(2, 1, 5, 4), axis=3, share=0.0).squeeze()  # nothing may be hidden
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    size = x.shape[axis]
    length, place = torch.rand(2, x.shape[0], 1, device=x.device)
    length = (length * share * size).floor()
    start = (place * (size - length + 1)).floor()
    position = torch.arange(size, device=x.device)
    kept = ((position < start) | (position >= start + length)).to(x.dtype)
    return kept[:, None, :, None] if axis == 2 else kept[:, None, None, :]


def halved(num_frames):
    """Frames left by a convolution of stride 2 that pads by one: ceil(n / 2); None stays None.

    >>> halved(torch.tensor([1, 4, 5]))
    tensor([1, 2, 3])
    """
    return None if num_frames is None else (num_frames + 1) // 2


def frame_mask(num_valid, num_frames):
    """True where a frame is speech: [batch, T], or None where every frame of every utterance is.

    >>> frame_mask(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    if num_valid is None:
        return None
    return torch.arange(num_frames, device=num_valid.device) < num_valid[:, None]


def masked(x, mask):
    """Zero in the padding: [batch, T, D]."""
    return x if mask is None else x * mask[:, :, None]


def masked_map(x, mask):
    """Zero in the padding: [batch, C, T, F]."""
    return x if mask is None else x * mask[:, None, :, None]


def normalized(norm, x, mask):
    """Batch norm of [batch, T, D] whose statistics are those of speech alone, however much of a batch is padding.

    >>> norm = nn.BatchNorm1d(1).train()
    >>> x, mask = torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]])
    >>> normalized(norm, x, mask).detach().squeeze()
    tensor([-1.0000,  1.0000,  0.0000])
    """
    if mask is None or not norm.training:
        return norm(x.transpose(1, 2)).transpose(1, 2)
    return torch.zeros_like(x).masked_scatter(mask[:, :, None], norm(x[mask]))


def normalized_map(norm, x, mask):
    """The same for [batch, C, T, F], with statistics per channel."""
    if mask is None or not norm.training:
        return norm(x.flatten(2)).unflatten(2, x.shape[2:])
    by_frame = x.transpose(1, 2)  # [batch, T, C, F]
    speech = norm(by_frame[mask])  # [speech frames, C, F]
    return torch.zeros_like(by_frame).masked_scatter(mask[:, :, None, None], speech).transpose(1, 2)


def pooled(frames, mask):
    """Mean, standard deviation and maximum over the speech frames: [batch, T, D] -> [batch, 3 D].

    >>> pooled(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.0000, 1.0000, 3.0000]])
    """
    if mask is None:
        mask = torch.ones_like(frames[:, :, 0], dtype=torch.bool)
    mask = mask[:, :, None]
    count = mask.sum(dim=1)
    mean = (frames * mask).sum(dim=1) / count
    variance = ((frames - mean[:, None]).square() * mask).sum(dim=1) / count
    peak = frames.masked_fill(~mask, float("-inf")).amax(dim=1)
    # The floor keeps the gradient of the root finite where all frames are alike.
    return torch.cat([mean, (variance + 1e-5).sqrt(), peak], dim=-1)
