"""A student initialised from its teacher: the lowest layers of a speech encoder, with a new head."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.base import Student, check_waveform
from akd_toolkit.models.features.whisper_log_mel import WhisperLogMel
from akd_toolkit.models.layers import mean_and_deviation
from akd_toolkit.models.whisper_layers import WhisperLayers, load_whisper
from akd_toolkit.outputs import ModelOutput, frame_mask
from akd_toolkit.registry import STUDENTS
from akd_toolkit.solvers import minimise

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
        If the source is not a Whisper, has fewer layers, lacks weights, or neither source nor architecture is
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
            self.layer_logits[-1] = 2.0  # starts near the top layer kept, which is the best single one
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
        embedding = (self._pooled(frames, num_valid) - self.centre) / self.scale
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
        return self._pooled(self._mix(layers), num_valid)

    def fit_head(
        self,
        pooled: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        labelled: Tensor | None = None,
        temperature: float = 1.0,
        decay: float = 30.0,
    ) -> Tensor:
        """Fit standardisation and classifier on the training utterances' ``pooled`` statistics.

        minimises  sum_i v_i H(targets_i, softmax((W x_i + b) / temperature)) / N  +  decay / (2 N T^2) * ‖W‖^2

        where T is the temperature and N the sum of the weights. v is the weights, with labelled utterances balanced so
        that all classes weigh the same. The standardisation is by labelled utterances alone.

        Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features" (linear probe before
        fine-tuning).

        Arguments
        ---------
        pooled
            [utterances, 2 * width], from ``pooled``; training utterances only.
        targets
            [utterances, classes]: one-hot labels, or a teacher's probabilities, softened by ``temperature``.
        weights
            [utterances], >= 0; None: 1 each.
        labelled
            [utterances], True where an utterance has a label, at least one; None: everywhere.
        temperature
            Softening of the targets, > 0; 1 for labels.
        decay
            Pull towards 0, >= 0, as many units as if it were one more utterance's loss.

        Returns
        -------
        The fitted logits of the same utterances, [utterances, classes].
        """
        targets = targets.to(pooled)
        labelled = torch.ones(len(targets), dtype=torch.bool) if labelled is None else labelled
        weights = torch.ones(len(targets), device=pooled.device) if weights is None else weights.to(pooled)
        deviation, centre = torch.std_mean(pooled[labelled], dim=0)
        self.centre.copy_(centre)
        self.scale.copy_(deviation.clamp(min=1e-5))
        inputs, known = (pooled - self.centre) / self.scale, targets[labelled]
        rarity = 1 / (known.sum(0).clamp(min=1e-6) * targets.shape[1])
        size = float(weights.sum())
        balanced = weights.clone()
        balanced[labelled] *= len(known) * known @ rarity  # mean 1
        balanced *= len(targets) / size
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

        def loss() -> Tensor:
            # Not ``fit_classifier``: in float32 another order of the same sums ends 0.2 % of probability elsewhere.
            log_probs = torch.log_softmax(self.classifier(inputs), dim=-1)
            error = -(balanced * (targets * log_probs).sum(-1)).mean()
            return error + decay / (2 * size) * self.classifier.weight.square().sum()

        minimise(loss, list(self.classifier.parameters()), steps=300, history=20, tolerance=1e-7)
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

    def _pooled(self, frames: Tensor, num_valid: Tensor) -> Tensor:
        return mean_and_deviation(frames, frame_mask(num_valid, frames.shape[1]))

    def _mix(self, layers: list[Tensor]) -> Tensor:
        weights = torch.softmax(self.layer_logits, dim=0)
        # The statistics are taken in full precision, whatever the layers were computed in.
        return sum(weight * layer.float() for weight, layer in zip(weights, layers, strict=True))


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
