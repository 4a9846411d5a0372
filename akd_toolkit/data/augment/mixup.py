"""Mixup: pairs of utterances in one waveform, each with its own label and teacher outputs."""

from dataclasses import replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from akd_toolkit.data.batches import Batch
from akd_toolkit.declared import Section, checked
from akd_toolkit.outputs import UNLABELLED

MOST_GAIN = 10.0  # 20 dB, so that a window with hardly any speech is not amplified further


class Mixup(Section):
    """Each utterance of a batch mixed with another at equal loudness.

    x[b] = (s a[b] + (1 - s) g[b] a[j]) / sqrt(s^2 + (1 - s)^2),   g = rms of a[b] / rms of a[j], within 20 dB
    s = max(l, 1 - l),   l ~ Beta(alpha, alpha), one per batch

    j is the partner of b: labelled speech is mixed with labelled, unlabelled with unlabelled. The batch keeps labels,
    attributes and teacher outputs of b and records j and s; the objective of the mixture is
    s objective(x, those of b) + (1 - s) objective(x, those of j), see ``training.brain``. For losses linear in their
    target (cross-entropy, divergence from soft targets) and for squared differences of logits this has the gradient of
    the mixed target. The mixture is as long as the longer of the two.

    Source: Zhang, Cisse, Dauphin & Lopez-Paz 2018, "mixup: Beyond empirical risk minimization"; loudness: Tokozume,
    Ushiku & Harada 2018, "Learning from between-class examples for deep sound recognition"; the larger share first:
    Berthelot et al. 2019, "MixMatch".

    Arguments
    ---------
    alpha
        Of the Beta distribution, in [0.01, 100]: near 0 one of the two dominates, at 1 all shares are equally likely.
    p
        Probability that a batch is mixed, in [0, 1].
    """

    alpha: float = Field(0.2, ge=0.01, le=100, description="of the Beta distribution of the share; 1 draws all alike")
    p: float = Field(1.0, ge=0, le=1, description="probability that a batch is mixed")

    def __call__(self, batch: Batch, random: np.random.Generator) -> Batch:
        share, mixes = float(random.beta(self.alpha, self.alpha)), random.random() < self.p
        if not mixes:
            return batch
        share = max(share, 1 - share)
        partner = partners(batch.labels, random)
        waveforms, lengths = mixed(batch.waveforms, batch.lengths, partner, share)
        return replace(batch, waveforms=waveforms, lengths=lengths, partner=partner, share=share)


def partners(labels: Tensor, random: np.random.Generator) -> Tensor:
    """For each row another labelled or another unlabelled row, itself if there is no other: [batch].

    Example
    -------
    >>> partners(torch.tensor([0, 1, UNLABELLED]), np.random.default_rng(0))
    tensor([1, 0, 2])
    """
    partner = torch.arange(len(labels))
    for kind in (labels != UNLABELLED, labels == UNLABELLED):
        rows = kind.nonzero().squeeze(1)
        rows = rows[torch.from_numpy(random.permutation(len(rows)))]
        partner[rows] = rows.roll(1)
    return partner


def mixed(waveforms: Tensor, lengths: Tensor, partner: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Waveforms mixed with their partners, within full scale, and the longer of the two lengths.

    Example
    -------
    >>> waveforms = torch.tensor([[0.3, -0.3], [0.6, 0.6]])
    >>> mixed(waveforms, torch.ones(2), torch.tensor([1, 0]), share=0.5)[0]  # both at the loudness of the row's own
    tensor([[0.4243, 0.0000],
            [0.8485, 0.0000]])
    """
    counts = (lengths * waveforms.shape[1]).round()
    rms = (waveforms.square().sum(dim=1) / counts).sqrt()
    gain = (rms / rms[partner].clamp(min=1e-9)).clamp(1 / MOST_GAIN, MOST_GAIN)
    gain = torch.where((rms > 0) & (rms[partner] > 0), gain, 1.0)[:, None]
    both = (share * waveforms + (1 - share) * gain * waveforms[partner]) / (share**2 + (1 - share) ** 2) ** 0.5
    both = both / both.abs().amax(dim=1, keepdim=True).clamp(min=1)
    alone = (partner == torch.arange(len(partner)))[:, None]
    return torch.where(alone, waveforms, both), torch.maximum(lengths, lengths[partner])


def build_mixup(spec: dict | None) -> Mixup | None:
    """The setting ``mixup``, or None."""
    return None if spec is None else checked(Mixup, spec, "mixup")
