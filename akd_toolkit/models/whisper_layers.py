"""The lowest layers of a Whisper encoder in plain PyTorch, and how their weights are read from a saved model."""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from akd_toolkit.data.files import is_hub_name
from akd_toolkit.models.layers import halved, masked
from akd_toolkit.models.low_rank import LowRankConvolution, LowRankLinear
from akd_toolkit.outputs import frame_mask


class WhisperLayers(nn.Module):
    """Convolutions, sinusoidal positions and the lowest transformer layers of Whisper, with masks.

    With ``ranks``, every convolution and linear map is one of low rank, see ``low_rank.py``.

    Shape
    -----
    mel: [batch, num_mels, T]. num_frames: [batch], frames that are not padding. Returns the layers' outputs,
    each [batch, ceil(T / 2), width], and how many of their frames are not padding, [batch].
    """

    def __init__(
        self, num_layers: int, width: int, heads: int, feed_forward: int, num_mels: int, ranks: dict | None = None
    ):
        super().__init__()
        if ranks is None:
            self.conv1 = nn.Conv1d(num_mels, width, kernel_size=3, padding=1)
            self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        else:
            self.conv1 = LowRankConvolution(num_mels, width, ranks["conv1"], stride=1)
            self.conv2 = LowRankConvolution(width, width, ranks["conv2"], stride=2)
        self.layers = nn.ModuleList(WhisperLayer(width, heads, feed_forward, ranks) for _ in range(num_layers))

    def parts(self) -> list[nn.Module]:
        """From the lowest: the convolutions, then every layer."""
        return [nn.ModuleList([self.conv1, self.conv2]), *self.layers]

    def lowest(self, frozen_layers: int | None) -> list[nn.Module]:
        """The convolutions and that many layers; nothing for None."""
        return [] if frozen_layers is None else self.parts()[: frozen_layers + 1]

    def forward(self, mel: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        # The mel padding is 0 already, as a convolution's own; its output's padding must be made so again.
        hidden = nn.functional.gelu(self.conv1(mel))
        hidden = masked(hidden, frame_mask(num_frames, hidden.shape[2]), time=2)
        hidden = nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)  # [batch, T / 2, width]
        num_valid = halved(num_frames)
        mask = frame_mask(num_valid, hidden.shape[1])
        hidden = hidden + sinusoids(hidden.shape[1], hidden.shape[2], hidden.device)
        outputs = []
        for layer in self.layers:
            hidden = layer(hidden, mask)
            outputs.append(hidden)
        return outputs, num_valid


class WhisperLayer(nn.Module):
    """One transformer layer of Whisper: norm before attention, norm before feed-forward, no key bias.

    With ``ranks``, query, key and value are one linear map of low rank.

    Shape
    -----
    hidden: [batch, T, width]; mask: [batch, T], True where frames may be attended to. Returns [batch, T,
    width].
    """

    def __init__(self, width: int, heads: int, feed_forward: int, ranks: dict | None = None):
        super().__init__()

        def linear(name: str, channels_in: int, channels_out: int) -> nn.Module:
            if ranks is None:
                return nn.Linear(channels_in, channels_out)
            return LowRankLinear(channels_in, channels_out, ranks[name])

        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        if ranks is None:
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width, bias=False)
            self.value = nn.Linear(width, width)
        else:
            self.attention = linear("attention", width, 3 * width)
        self.project = linear("project", width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = linear("expand", width, feed_forward)
        self.contract = linear("contract", feed_forward, width)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        hidden = hidden + self.project(self.attended(self.qkv(hidden), mask))
        return hidden + self.contract(self.expanded(hidden))

    def qkv(self, hidden: Tensor) -> Tensor:
        """Queries, keys and values side by side: [batch, T, 3 * width]."""
        normed = self.attention_norm(hidden)
        if hasattr(self, "attention"):
            return self.attention(normed)
        return torch.cat([self.query(normed), self.key(normed), self.value(normed)], dim=-1)

    def attended(self, qkv: Tensor, mask: Tensor | None) -> Tensor:
        """The heads' sums of values: [batch, T, width]."""
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        mask = None if mask is None else mask[:, None, None]  # [batch, 1, 1, T], the same for every head and query
        return nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask).transpose(1, 2).flatten(2)

    def expanded(self, hidden: Tensor) -> Tensor:
        """Inside the feed-forward part: [batch, T, feed_forward]."""
        return nn.functional.gelu(self.expand(self.feed_forward_norm(hidden)))


def sinusoids(num_positions: int, width: int, device=None) -> Tensor:
    """Whisper's positions: sines, then cosines, of wavelengths from 2 pi to 20000 pi; [num_positions, width].

    Example
    -------
    >>> sinusoids(2, 4)[1]  # sin 1, sin 0.0001, cos 1, cos 0.0001
    tensor([8.4147e-01, 1.0000e-04, 5.4030e-01, 1.0000e+00])
    """
    half = width // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10000) / (half - 1)))
    angles = torch.arange(num_positions, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def load_whisper(source: str, num_layers: int) -> tuple[dict, dict]:
    """Architecture and weights of a Whisper encoder's lowest layers, under the names of ``WhisperLayers``."""
    from transformers import AutoConfig, WhisperModel

    if not Path(source).is_dir() and not is_hub_name(source):
        raise FileNotFoundError(f"encoder_student: source '{source}' does not exist; give a folder or owner/name.")
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:  # a page of text, from no network to no such model
        reason = str(error).partition("\n")[0]
        raise FileNotFoundError(
            f"encoder_student: source '{source}' cannot be loaded ({reason}); check the name and the network, or give "
            "a folder."
        ) from None
    if config.model_type != "whisper":
        raise ValueError(f"encoder_student: source '{source}' is a {config.model_type} model; give a Whisper model.")
    if num_layers > config.encoder_layers:
        raise ValueError(
            f"encoder_student: source '{source}' has {config.encoder_layers} encoder layers, num_layers is "
            f"{num_layers}; give at most {config.encoder_layers}."
        )
    model, report = WhisperModel.from_pretrained(source, dtype=torch.float32, output_loading_info=True)
    absent = [key for part in ("missing_keys", "mismatched_keys") for key in report[part]]
    absent = sorted(str(key) for key in absent if "encoder" in str(key))
    if absent:
        raise ValueError(
            f"encoder_student: source '{source}' has no fitting weights for {len(absent)} encoder tensors, "
            f"such as {absent[0]}; give a complete model, so that nothing starts at random unseen."
        )
    architecture = {
        "width": config.d_model,
        "heads": config.encoder_attention_heads,
        "feed_forward": config.encoder_ffn_dim,
        "num_mels": config.num_mel_bins,
    }
    encoder = model.encoder
    positions = encoder.embed_positions.weight
    # 16-bit files round to 5e-4; anything beyond is another kind of position, which this student would not
    # compute.
    if config.scale_embedding or (positions - sinusoids(*positions.shape)).abs().max() > 2e-3:
        raise ValueError(f"encoder_student: source '{source}' has positions other than Whisper's sinusoids.")
    return architecture, _lowest_weights(encoder.state_dict(), num_layers)


NAMES = {
    "self_attn_layer_norm": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "project",
    "final_layer_norm": "feed_forward_norm",
    "fc1": "expand",
    "fc2": "contract",
}


def _lowest_weights(state: dict, num_layers: int) -> dict:
    weights = {key: value for key, value in state.items() if key.startswith(("conv1.", "conv2."))}
    for key, value in state.items():
        if key.startswith("layers.") and int(key.split(".")[1]) < num_layers:
            _, number, rest = key.split(".", 2)
            module, kind = rest.rsplit(".", 1)
            weights[f"layers.{number}.{NAMES[module]}.{kind}"] = value
    return weights
