"""The head of a student on a frozen pretrained encoder, fitted before training."""

import torch
from torch import Tensor, nn

from akd_toolkit.models.layers import mean_and_deviation
from akd_toolkit.outputs import frame_mask
from akd_toolkit.solvers import minimise


class FittedHead:
    """Part of a student whose linear head reads standardised mean and deviation of pretrained frames.

    The student has the buffers ``centre`` and ``scale`` [D], ``_encoded``, which returns frames and their number, and
    ``classifier``, its linear head.
    """

    floor = 1e-8  # added to the variance of the frames
    to_fit: nn.Module | None = None  # the model to which ``reduce`` fits the encoder before a head is fitted

    def add_standardisation(self, dim: int) -> None:
        """Register ``centre`` and ``scale``, which change nothing before a head is fitted."""
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def standardised(self, frames: Tensor, num_valid: Tensor) -> Tensor:
        """[batch, T, D / 2] -> [batch, D]"""
        statistics = mean_and_deviation(frames, frame_mask(num_valid, frames.shape[1]), self.floor)
        return (statistics - self.centre) / self.scale

    @torch.no_grad()
    def head_inputs(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the head reads, [batch, D], and the frames that it is pooled from, [batch, T, D / 2]."""
        frames, num_valid = self._encoded(waveform, lengths)
        return self.standardised(frames, num_valid), frames

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
