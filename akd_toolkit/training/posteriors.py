"""Posteriors of utterances: the mean over their windows."""

import numpy as np
import torch

from akd_toolkit.data.batches import Batch
from akd_toolkit.metrics.scores import ua
from akd_toolkit.outputs import ModelOutput, Posteriors


class MeanPosteriors:
    """Collects outputs of windows batch by batch and averages them per utterance.

    Example
    -------
    >>> from akd_toolkit.data.batches import collate
    >>> found = MeanPosteriors()
    >>> two_windows = collate(["a", "a"], [np.zeros(4, np.float32)] * 2, [1, 1])
    >>> found.add(two_windows, ModelOutput(torch.tensor([[0.0, 0.0], [-100.0, 0.0]])))
    >>> found.mean()["a"], found.ua()
    (array([0.25, 0.75]), 1.0)
    """

    def __init__(self):
        self.probs: dict[str, list[np.ndarray]] = {}
        self.attributes: dict[str, list[np.ndarray]] = {}
        self.labels: dict[str, int] = {}

    def add(self, batch: Batch, output: ModelOutput) -> None:
        """Add a batch: logits [batch, classes], and attributes [batch, A] if the output has them."""
        found = [(self.probs, torch.softmax(output.logits.double(), dim=-1))]
        if output.attributes is not None:
            found.append((self.attributes, output.attributes.double()))
        for collected, values in found:
            for name, value in zip(batch.ids, values.cpu().numpy()):
                collected.setdefault(name, []).append(value)
        self.labels.update(zip(batch.ids, batch.labels.tolist()))

    def mean(self) -> Posteriors:
        both = (self.probs, self.attributes)
        return Posteriors(*({name: np.mean(windows, axis=0) for name, windows in found.items()} for found in both))

    def ua(self) -> float:
        """Unweighted accuracy over the utterances collected so far."""
        truth = np.array([self.labels[name] for name in self.probs])
        return float(ua(truth, np.array([np.mean(windows, axis=0).argmax() for windows in self.probs.values()])))


@torch.no_grad()
def predict(student: torch.nn.Module, batches, device: str = "cpu") -> Posteriors:
    """Posteriors of every utterance in ``batches`` by a student in evaluation mode."""
    found = MeanPosteriors()
    for batch in batches:
        batch = batch.to(device)
        found.add(batch, student(batch.waveforms, batch.lengths))
    return found.mean()
