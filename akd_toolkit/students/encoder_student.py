"""The student that begins as its teacher: the lowest layers of a speech encoder, with a head of its own."""

import math

import torch
from torch import Tensor, nn

from akd_toolkit.features.whisper_log_mel import WhisperLogMel
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS
from akd_toolkit.students.base import Student, check_waveform

ARCHITECTURE_KEYS = ("width", "heads", "feed_forward", "num_mels")


@STUDENTS.register("encoder_student")
class EncoderStudent(Student):
    """The lowest layers of Whisper, a learned mixture of them, mean and deviation, a linear classifier.

    frames = sum_l softmax(layer_logits)[l] * layer_l
    embedding = (mean | deviation over frames - centre) / scale

    Source: Radford et al. 2022 (encoder); Yang et al. 2021, SUPERB (weighted layers). Differs from Whisper:
    nothing is padded to 30 s, padding is masked, upper layers and the last layer norm are dropped. Knowledge
    passes by weights: fit the head on the untouched encoder first (``fit_head``), then fine-tune with a small
    learning rate.

    Arguments
    ---------
    num_classes
        Number of emotions.
    source
        Hub name, or folder written by ``save_pretrained``, of a Whisper model. None builds the
        ``architecture`` with random weights, to be filled by ``load_state_dict``: a released student needs no
        source.
    num_layers
        Number of transformer layers kept, from the lowest.
    frozen_layers
        The convolutions and this many of the lowest layers keep the source's weights; None lets all learn.
    dropout
        Probability with which the classifier's inputs are dropped, in [0, 1).
    architecture
        ``width``, ``heads``, ``feed_forward`` and ``num_mels``; read from the source where one is given.

    Shape
    -----
    waveform: [batch, samples], 16 kHz, at least 1600 samples (0.1 s), meant for at most 30 s. lengths:
    [batch], relative. embedding: [batch, 2 * width]. frames and each of ``layers``: [batch, T, width], one
    frame per 20 ms.

    Raises
    ------
    ValueError
        If the source is no Whisper, has fewer layers, lacks weights, or neither source nor architecture is
        given.

    Example
    -------
    >>> student = EncoderStudent(num_classes=4, **EncoderStudent.example_options)
    >>> output = student(torch.zeros(2, 3200))
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 32]), torch.Size([2, 10, 16]))
    """

    example_options = {
        "num_layers": 2,
        "architecture": {"width": 16, "heads": 2, "feed_forward": 32, "num_mels": 80},
    }

    def __init__(
        self,
        num_classes: int,
        source: str | None = None,
        num_layers: int = 3,
        frozen_layers: int | None = 0,
        dropout: float = 0.0,
        architecture: dict | None = None,
    ):
        super().__init__(num_classes)
        weights = None
        if source is not None:
            architecture, weights = load_whisper(source, num_layers)
        _check_options(num_layers, frozen_layers, dropout, architecture)
        self.options = {
            "num_classes": num_classes,
            "num_layers": num_layers,
            "frozen_layers": frozen_layers,
            "dropout": dropout,
            "architecture": dict(architecture),
        }
        width = architecture["width"]
        self.front_end = WhisperLogMel(architecture["num_mels"])
        self.encoder = WhisperLayers(num_layers=num_layers, **architecture)
        self.layer_logits = nn.Parameter(torch.zeros(num_layers))
        with torch.no_grad():
            self.layer_logits[-1] = 2.0  # begins near the top layer kept, which knows most when alone
        self.register_buffer("centre", torch.zeros(2 * width))
        self.register_buffer("scale", torch.ones(2 * width))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * width, num_classes)
        if weights is not None:
            self.encoder.load_state_dict(weights)
        for part in self.encoder.lowest(frozen_layers):
            part.requires_grad_(False)

    @property
    def build_options(self) -> dict:
        """Plain options that rebuild this student without its source; weights come from a state dict."""
        return {**self.options, "architecture": dict(self.options["architecture"])}

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        layers, num_valid = self._encode(waveform, lengths)
        frames = self._mix(layers)
        embedding = (masked_statistics(frames, num_valid) - self.centre) / self.scale
        return ModelOutput(
            logits=self.classifier(self.dropout(embedding)),
            embedding=embedding,
            frames=frames,
            layers={f"layer{number}": layer for number, layer in enumerate(layers, start=1)},
            lengths=num_valid / frames.shape[1],
        )

    @torch.no_grad()
    def pooled(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Mean and deviation of the mixed frames, not yet standardised: [batch, 2 * width]."""
        layers, num_valid = self._encode(waveform, lengths)
        return masked_statistics(self._mix(layers), num_valid)

    def fit_head(self, pooled: Tensor, targets: Tensor, temperature: float = 1.0, decay: float = 30.0) -> Tensor:
        """Fit standardisation and classifier on the training utterances' ``pooled`` statistics.

        minimises  mean_i v_i H(targets_i, softmax((W x_i + b) / temperature)) + decay / (2 N T^2) * ‖W‖^2

        where N is the number of utterances, T the temperature, and v_i makes all classes weigh the same.

        Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features" (linear probe before
        fine-tuning).

        Arguments
        ---------
        pooled
            [utterances, 2 * width], from ``pooled``; training utterances only.
        targets
            [utterances, classes]: one-hot labels, or a teacher's probabilities, softened by ``temperature``.
        temperature
            Softening of the targets, > 0; 1 for labels.
        decay
            Pull towards 0, >= 0, as many units as if it were one more utterance's loss.

        Returns
        -------
        The fitted logits of the same utterances, [utterances, classes].
        """
        deviation, centre = torch.std_mean(pooled, dim=0)
        self.centre.copy_(centre)
        self.scale.copy_(deviation.clamp(min=1e-5))
        inputs, targets = (pooled - self.centre) / self.scale, targets.to(pooled)
        rarity = 1 / (targets.sum(0).clamp(min=1e-6) * targets.shape[1])
        balance = len(targets) * targets @ rarity  # mean 1
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        optimizer = torch.optim.LBFGS(
            self.classifier.parameters(), max_iter=300, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure():
            optimizer.zero_grad()
            log_probs = torch.log_softmax(self.classifier(inputs), dim=-1)
            loss = -(balance * (targets * log_probs).sum(-1)).mean()
            loss = loss + decay / (2 * len(targets)) * self.classifier.weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)
        optimizer.zero_grad()
        # The targets were softened, so the fitted logits are the student's own divided by the temperature.
        with torch.no_grad():
            self.classifier.weight.mul_(temperature)
            self.classifier.bias.mul_(temperature)
            return self.classifier(inputs)

    def parameter_groups(self, learning_rate: float, layer_decay: float = 1.0) -> list[dict]:
        """Optimiser groups whose rate falls by ``layer_decay`` with each layer down; frozen weights left out.

        Example
        -------
        >>> student = EncoderStudent(num_classes=4, **EncoderStudent.example_options)
        >>> [group["lr"] for group in student.parameter_groups(1.0, 0.5)]  # head, layer 2, layer 1
        [1.0, 1.0, 0.5]
        """
        parts = [[self.classifier.weight, self.classifier.bias, self.layer_logits]]
        parts += [list(part.parameters()) for part in reversed(self.encoder.parts())]
        depths = [0, *range(len(parts) - 1)]
        groups = [
            {"params": [p for p in part if p.requires_grad], "lr": learning_rate * layer_decay**depth}
            for part, depth in zip(parts, depths, strict=True)
        ]
        return [group for group in groups if group["params"]]

    def _encode(self, waveform: Tensor, lengths: Tensor | None) -> tuple[list[Tensor], Tensor]:
        check_waveform(waveform)
        samples = waveform.shape[1]
        if lengths is None:
            num_samples = torch.full_like(waveform[:, 0], samples, dtype=torch.long)
        else:
            # A relative length came from a division: round, never cut.
            num_samples = (lengths * samples).round().long()
        if torch.is_autocast_enabled(waveform.device.type):
            with torch.autocast(waveform.device.type, enabled=False):
                mel, num_frames = self.front_end(waveform.float(), num_samples)
        else:
            mel, num_frames = self.front_end(waveform, num_samples)
        return self.encoder(mel, num_frames)

    def _mix(self, layers: list[Tensor]) -> Tensor:
        weights = torch.softmax(self.layer_logits, dim=0)
        # The statistics are taken in full precision, whatever the layers were computed in.
        return sum(weight * layer.float() for weight, layer in zip(weights, layers, strict=True))


class WhisperLayers(nn.Module):
    """Convolutions, sinusoidal positions and the lowest transformer layers of Whisper, with masks.

    Shape
    -----
    mel: [batch, num_mels, T]. num_frames: [batch], frames that are not padding. Returns the layers' outputs,
    each [batch, ceil(T / 2), width], and how many of their frames are not padding, [batch].
    """

    def __init__(self, num_layers: int, width: int, heads: int, feed_forward: int, num_mels: int):
        super().__init__()
        self.conv1 = nn.Conv1d(num_mels, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.layers = nn.ModuleList(WhisperLayer(width, heads, feed_forward) for _ in range(num_layers))

    def parts(self) -> list[nn.Module]:
        """From the lowest: the convolutions, then every layer."""
        return [nn.ModuleList([self.conv1, self.conv2]), *self.layers]

    def lowest(self, frozen_layers: int | None) -> list[nn.Module]:
        """The convolutions and that many layers; nothing for None."""
        return [] if frozen_layers is None else self.parts()[: frozen_layers + 1]

    def forward(self, mel: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        # The mel padding is 0 already, as a convolution's own; its output's padding must be made so again.
        hidden = nn.functional.gelu(self.conv1(mel))
        hidden = hidden * frame_mask(num_frames, hidden.shape[2])[:, None]
        hidden = nn.functional.gelu(self.conv2(hidden)).transpose(1, 2)  # [batch, T / 2, width]
        num_valid = (num_frames + 1) // 2
        mask = frame_mask(num_valid, hidden.shape[1])
        hidden = hidden + sinusoids(hidden.shape[1], hidden.shape[2], hidden.device)
        outputs = []
        for layer in self.layers:
            hidden = layer(hidden, mask)
            outputs.append(hidden)
        return outputs, num_valid


class WhisperLayer(nn.Module):
    """One transformer layer of Whisper: norm before attention, norm before feed-forward, no key bias.

    Shape
    -----
    hidden: [batch, T, width]; mask: [batch, T], True where frames may be attended to. Returns [batch, T,
    width].
    """

    def __init__(self, width: int, heads: int, feed_forward: int):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feed_forward)
        self.contract = nn.Linear(feed_forward, width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        normed = self.attention_norm(hidden)
        query, key, value = (self._split(part(normed)) for part in (self.query, self.key, self.value))
        mask = mask[:, None, None]  # [batch, 1, 1, T], the same for every head and query
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + self.project(attended.transpose(1, 2).flatten(2))
        return hidden + self.contract(nn.functional.gelu(self.expand(self.feed_forward_norm(hidden))))

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [batch, heads, T, width / heads]


def frame_mask(num_valid: Tensor, num_frames: int) -> Tensor:
    """True for the first ``num_valid[b]`` of ``num_frames``: [batch, num_frames].

    Example
    -------
    >>> frame_mask(torch.tensor([1, 3]), 3).tolist()
    [[True, False, False], [True, True, True]]
    """
    return torch.arange(num_frames, device=num_valid.device) < num_valid[:, None]


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


def masked_statistics(frames: Tensor, num_valid: Tensor) -> Tensor:
    """Mean and deviation over the frames that are not padding: [batch, 2 * D].

    Example
    -------
    >>> masked_statistics(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))
    tensor([[2., 1.]])
    """
    weight = frame_mask(num_valid, frames.shape[1]).to(frames.dtype)[:, :, None] / num_valid[:, None, None]
    mean = (frames * weight).sum(1)
    variance = ((frames - mean[:, None]).square() * weight).sum(1)
    # A constant channel has deviation 0, where the square root has no gradient.
    return torch.cat([mean, (variance + 1e-8).sqrt()], dim=1)


def load_whisper(source: str, num_layers: int) -> tuple[dict, dict]:
    """Architecture and weights of a Whisper encoder's lowest layers, under the names of ``WhisperLayers``."""
    from transformers import AutoConfig, WhisperModel

    config = AutoConfig.from_pretrained(source)
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


def _check_options(num_layers: int, frozen_layers: int | None, dropout: float, architecture: dict | None):
    if architecture is None:
        raise ValueError(
            "encoder_student: neither source nor architecture is given; name a Whisper model, or rebuild a "
            "saved student from its build_options."
        )
    if sorted(architecture) != sorted(ARCHITECTURE_KEYS):
        raise ValueError(
            f"encoder_student: architecture needs exactly {', '.join(ARCHITECTURE_KEYS)}, got "
            f"{', '.join(sorted(map(str, architecture))) or 'nothing'}."
        )
    if architecture["width"] % (2 * architecture["heads"]):
        raise ValueError(
            f"encoder_student: width must be a multiple of twice the heads, got width "
            f"{architecture['width']} and {architecture['heads']} heads."
        )
    if num_layers < 1:
        raise ValueError(f"encoder_student: num_layers must be at least 1, got {num_layers}.")
    if frozen_layers is not None and not 0 <= frozen_layers <= num_layers:
        raise ValueError(f"encoder_student: frozen_layers must be 0 to {num_layers} or null, got {frozen_layers}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"encoder_student: dropout must be in [0, 1), got {dropout}.")
