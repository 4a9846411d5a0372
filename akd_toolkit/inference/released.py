"""A released student as a PyTorch module, for SpeechBrain and for own code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from akd_toolkit.inference.hub import resolve_source, upload
from akd_toolkit.models.storage import load_student
from akd_toolkit.outputs import ModelOutput


class ReleasedStudent(torch.nn.Module):
    """The student of a bundle, with ``from_pretrained`` and ``push_to_hub`` as models on the hub have them.

    SpeechBrain's ``Pretrained.from_hparams(source)`` builds this class too, from the ``hyperparams.yaml`` of a bundle,
    and calls it as its pretrainer (``set_collect_in``, ``collect_files``, ``load_collected``).

    Example
    -------
    >>> ReleasedStudent()(torch.zeros(1, 16000))
    Traceback (most recent call last):
    ValueError: the student is not loaded; call ReleasedStudent.from_pretrained(source).
    """

    def __init__(self):
        super().__init__()
        self.student, self.about, self.folder = None, {}, None

    @classmethod
    def from_pretrained(cls, source: str | Path, **options) -> ReleasedStudent:
        """The student of a run's folder, a bundle, or ``owner/name`` on the hub; ``options`` as ``resolve_source``."""
        released = cls()
        released.collect_files(source, **options)
        released.load_collected()
        return released

    def push_to_hub(self, repo_id: str, private: bool = False, revision: str | None = None) -> str:
        """Upload the bundle that the student came from; returns the commit, see ``upload``."""
        return upload(self.folder, repo_id, private, revision)

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        """waveform [batch, samples] at 16 kHz, lengths [batch] in (0, 1] -> ``ModelOutput`` with logits."""
        if self.student is None:
            raise ValueError("the student is not loaded; call ReleasedStudent.from_pretrained(source).")
        return self.student(waveform, lengths)

    def set_collect_in(self, savedir) -> None:
        """Nothing: downloads stay in the hub's cache."""

    def collect_files(self, default_source, local_strategy=None, fetch_config=None, **options) -> None:
        self.folder = resolve_source(default_source, **options)

    def load_collected(self) -> None:
        self.student, self.about = load_student(self.folder)
