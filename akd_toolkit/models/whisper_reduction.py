"""Whisper's lowest layers at low rank: each linear map is fitted to what the full model does on the same speech."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.whisper_layers import WhisperLayers, sinusoids

gelu = nn.functional.gelu


@torch.no_grad()
def reduce_layers(full: WhisperLayers, own: WhisperLayers, mels: list[Tensor]) -> None:
    """Fit ``own``, of low rank, to ``full``: one reduced-rank regression for each map, from the lowest.

    Every map reads what the maps already fitted compute. Its target is what the full model has there; after
    attention and after the feed-forward part that is the sum along the residual path, so that each map also
    corrects the errors of those before it.

    Arguments
    ---------
    mels
        Utterances without padding, each [1, num_mels, T]; about 200 are enough. No label is needed.
    """
    theirs = ours = mels
    for name in ("conv1", "conv2"):
        whole, small = getattr(full, name), getattr(own, name)
        theirs = [whole(x) for x in theirs]
        small.fit(map(small.patches, ours), (y[0].T for y in theirs))
        theirs, ours = [gelu(y) for y in theirs], [gelu(small(x)) for x in ours]
    theirs, ours = _with_positions(theirs), _with_positions(ours)
    for whole, small in zip(full.layers, own.layers, strict=True):
        for norm in ("attention_norm", "feed_forward_norm"):
            getattr(small, norm).load_state_dict(getattr(whole, norm).state_dict())
        qkv = [whole.qkv(x) for x in theirs]
        small.attention.fit((small.attention_norm(x)[0] for x in ours), (y[0] for y in qkv))
        theirs = [x + whole.project(whole.attended(y, None)) for x, y in zip(theirs, qkv)]
        ours = _residual(small.project, ours, [small.attended(small.qkv(x), None) for x in ours], theirs)
        expanded = [whole.expand(whole.feed_forward_norm(x)) for x in theirs]
        small.expand.fit((small.feed_forward_norm(x)[0] for x in ours), (y[0] for y in expanded))
        theirs = [x + whole.contract(gelu(y)) for x, y in zip(theirs, expanded)]
        ours = _residual(small.contract, ours, [small.expanded(x) for x in ours], theirs)


def _with_positions(states: list[Tensor]) -> list[Tensor]:
    return [x.transpose(1, 2) + sinusoids(x.shape[2], x.shape[1], x.device) for x in states]


def _residual(part: nn.Module, before: list[Tensor], inputs: list[Tensor], targets: list[Tensor]) -> list[Tensor]:
    """Fit ``part`` so that ``before + part(inputs)`` is near ``targets``; returns that sum."""
    part.fit((x[0] for x in inputs), (y[0] - x[0] for x, y in zip(before, targets)))
    return [x + part(y) for x, y in zip(before, inputs)]
