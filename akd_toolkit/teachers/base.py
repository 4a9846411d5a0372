"""The base class of teachers, and the fingerprint that names their stored features."""

import hashlib
import json
from abc import ABC, abstractmethod
from functools import cache, cached_property
from pathlib import Path

import numpy as np

SAMPLE_RATE_HZ = 16000
MODALITIES = {  # what a teacher reads of an utterance besides its sound, None where the corpus has none
    "video": lambda row: Path(row.video) if row.video else None,
    "text": lambda row: row.transcript.strip() or None,
    "table": lambda row: row,
}


class Teacher(ABC):
    """A large frozen model that describes an utterance without its label.

    It is not a ``torch.nn.Module``: no optimiser, checkpoint or ``.train()`` can reach the model inside. Heads on its
    features are fitted in ``head.py``, once per outer fold.

    ``name`` is the registered name and ``title`` the one for tables; ``modality`` is what ``features`` reads: audio,
    video, text or table (a student hears the audio alone); ``num_layers`` is how many layers it describes and
    ``feature_dim`` their width D, needed of teachers that do not read audio; ``frame_rate_hz`` is None for a teacher
    without frames; ``device`` is where the model inside runs.

    Raise ``version``, a part of the fingerprint, when the same options and weights give other numbers, so that features
    stored before are not used, and ``VERSION`` of ``crossfit`` and ``attributes`` for stored heads.
    ``tests/golden/stored_numbers`` fails where this was forgotten.

    Example
    -------
    >>> class Loudness(Teacher):
    ...     name, title, num_layers = "loudness", "loudness", 1
    ...     def features(self, waveform):
    ...         return np.array([[np.abs(waveform).mean()]], dtype=np.float32)
    >>> Loudness().features(np.array([0.5, -0.5], dtype=np.float32)).tolist()
    [[0.5]]
    """

    name: str
    title: str
    num_layers: int
    modality: str = "audio"
    feature_dim: int = 0
    version: int = 1
    frame_rate_hz: float | None = None
    device = "cpu"
    num_parameters = 0  # of the frozen model
    example_options: dict = {}

    @abstractmethod
    def features(self, waveform: np.ndarray) -> np.ndarray | None:
        """Pooled statistics of one utterance, [L, D] float32.

        By modality the argument is the waveform, [samples] float32 at 16 kHz in [-1, 1]; the path of the video; the
        transcript; or the ``Utterance``, by which a table is searched. It is not called for an utterance without a
        video or transcript, and returns None (never for audio) where it finds nothing, such as no face: the utterance
        is then masked in losses, gates and weights.
        """

    def features_and_frames(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``features`` [L, D] and the frames [T, D_f] of the same pass; only where ``frame_rate_hz`` is set."""
        raise NotImplementedError

    def frames(self, waveform: np.ndarray) -> np.ndarray:
        """Frame features [T, D_f] of one utterance, at ``frame_rate_hz``."""
        if self.frame_rate_hz is None:
            raise ValueError(f"teacher '{self.name}' has no frames; use a transformers_encoder for them.")
        return self.features_and_frames(waveform)[1]

    @property
    def fingerprint(self) -> str:
        """12 hex digits over name, version, options and weights: another fingerprint is another teacher."""
        return fingerprint_of(self.name, self.version, self.identity())

    def identity(self) -> dict:
        """Everything besides ``version`` that changes the numbers: options, hash of weights, versions of packages."""
        return {}

    def check_label_order(self, label_order) -> None:
        """Refuse a teacher that was built for the same classes in another order; most know no classes at all."""

    def unload(self) -> None:
        """Free the memory of the model inside, by all cached properties; the next call loads it again."""
        for name in [name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)]:
            delattr(self, name)


def check_same_order(theirs, ours, where) -> None:
    """Refuse numbers per class from ``where`` whose classes are in another order."""
    if list(theirs) != list(ours):
        raise ValueError(
            f"{where} and the student order classes differently: [{', '.join(theirs)}] and [{', '.join(ours)}]. Set "
            "label_order once and pass it to both."
        )


def fingerprint_of(*parts) -> str:
    """12 hex digits that change when any of the JSON-like ``parts`` does."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_hash(paths: list[Path]) -> str:
    """First 16 hex digits of the SHA-256 over the files' bytes, in the order given."""
    return _file_hash(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths))


@cache
def _file_hash(files: tuple) -> str:
    digest = hashlib.sha256()
    for path, *_ in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:16]


def count_parameters(paths: list[Path], counts=lambda name: True) -> int:
    """Numbers in the tensors of safetensors files whose name ``counts``, from the headers alone."""
    from safetensors import safe_open

    total = 0
    for path in paths:
        with safe_open(path, framework="numpy") as file:
            total += sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys() if counts(name))  # noqa: SIM118
    return total
