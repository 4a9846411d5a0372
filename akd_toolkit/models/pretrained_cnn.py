"""A micro student that was pretrained to predict a teacher's features, and fits a head to a corpus."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from akd_toolkit.data.files import is_hub_name
from akd_toolkit.models.base import check_waveform
from akd_toolkit.models.fitted_head import FittedHead
from akd_toolkit.models.layers import halved
from akd_toolkit.models.micro_cnn import TimeCNN
from akd_toolkit.outputs import ModelOutput
from akd_toolkit.registry import STUDENTS

OPTIONS = {"num_mels": 64, "channels": [16, 32, 48], "dim": 144, "dilations": [1, 2, 3, 4, 2, 1]}
CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECORDINGS = "recordings.txt"  # SHA-256 of the sound of each recording of the pretraining


@STUDENTS.register("pretrained_cnn")
class PretrainedCNN(FittedHead, TimeCNN):
    """The micro CNN's layers, pretrained on unlabelled speech, and a linear head (micro: at most 0.5 M parameters).

    embedding = (mean | deviation over frames - centre) / scale;  logits = W embedding + b

    ``recipes/Pool`` pretrains the layers to predict what a large teacher computes, with no emotion label. On a labelled
    corpus the head is fitted first (``fit_head``), then all layers learn with a smaller learning rate.

    Source: Chang, Yang & Lee 2022, "DistilHuBERT" (a small model predicts a large one's features); Kumar et al. 2022
    (head first). The layers are those of ``micro_cnn``.

    Arguments
    ---------
    num_classes
        Number of emotions.
    source
        Folder, or hub name, of pretrained layers: ``config.json`` and ``model.safetensors``. None starts from random
        weights.
    num_mels, channels, dim, dilations
        As in ``micro_cnn``. None: as in the source, or without one 64, [16, 32, 48], 144 and [1, 2, 3, 4, 2, 1].
    dropout
        Share of the embedding left out in training, in [0, 1).

    Shape
    -----
    waveform: [batch, samples]. frames: [batch, T, dim], one for every 40 ms. embedding: [batch, 2 * dim].

    Raises
    ------
    FileNotFoundError
        If the source has no such files.
    ValueError
        If they are not of pretrained layers, or they have other options than those given.

    Example
    -------
    >>> student = PretrainedCNN(num_classes=4, channels=[4, 8], dim=16, dilations=[1]).eval()
    >>> output = student(torch.zeros(2, 16000))
    >>> output.logits.shape, output.embedding.shape, output.frames.shape
    (torch.Size([2, 4]), torch.Size([2, 32]), torch.Size([2, 25, 16]))
    """

    floor = 1e-4  # frames of a tenth of a second may be alike, and the root of a rounding error is large
    example_options = {"channels": [4, 8], "dim": 16, "dilations": [1, 2]}

    def __init__(
        self,
        num_classes: int,
        source: str | None = None,
        num_mels: int | None = None,
        channels: tuple[int, ...] | None = None,
        dim: int | None = None,
        dilations: tuple[int, ...] | None = None,
        dropout: float = 0.2,
    ):
        given = {"num_mels": num_mels, "channels": channels, "dim": dim, "dilations": dilations}
        layers, weights = (OPTIONS, None) if source is None else load_pretrained(source)
        for name, value in given.items():
            if value is not None and source is not None and value != layers[name]:
                raise ValueError(
                    f"pretrained_cnn: {name} is {layers[name]} in source '{source}', not {value}; leave it out."
                )
        layers = {name: layers[name] if value is None else value for name, value in given.items()}
        super().__init__(num_classes, normalize="level", **layers)
        self.build_options = {"num_classes": num_classes, **layers, "dropout": dropout}  # without the source
        self.add_standardisation(2 * layers["dim"])
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * layers["dim"], num_classes)
        if weights is not None:
            _take(self, weights, source)
        self.to(memory_format=torch.channels_last)  # trains a third faster on a CPU

    def pretrained(self) -> dict[str, Tensor]:
        """The weights below the head, which a source holds."""
        own = ("classifier.", "centre", "scale", "regressor.")
        state = self.state_dict()
        return {name: value.cpu().contiguous() for name, value in state.items() if not name.startswith(own)}

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> ModelOutput:
        layers, num_valid = self._layers(waveform, lengths)
        *_, frames = layers.values()
        embedding = self.standardised(frames.float(), num_valid)
        logits = self.classifier(self.dropout(embedding))
        return ModelOutput(logits, embedding, frames, layers, num_valid / frames.shape[1])

    def _layers(self, waveform: Tensor, lengths: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        check_waveform(waveform)
        features, num_frames = self.front_end(waveform, lengths)
        layers, _ = self.layers_of(features, None if lengths is None else num_frames)
        return layers, halved(halved(num_frames))

    def _encoded(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        layers, num_valid = self._layers(waveform, lengths)
        *_, frames = layers.values()
        return frames, num_valid


def _folder_of(source: str) -> Path:
    folder = Path(source)
    if not folder.is_dir() and is_hub_name(source):
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(source, allow_patterns=[CONFIG, WEIGHTS, RECORDINGS]))
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise FileNotFoundError(
                f"pretrained_cnn: source '{source}' cannot be loaded ({reason}); check the name and the network, or "
                "give a folder."
            ) from None
    return folder


def pretraining_of(student: dict) -> tuple[list[str], set[str]] | None:
    """Corpora of the pretraining that a student's spec starts from, and the SHA-256 of their recordings.

    Both are empty if the source does not say; None for a student that starts from no pretrained layers.
    """
    if student.get("name") != "pretrained_cnn" or not student.get("source"):
        return None
    folder = _folder_of(student["source"])
    config, recordings = folder / CONFIG, folder / RECORDINGS
    corpora = json.loads(config.read_text(encoding="utf-8")).get("corpora", []) if config.is_file() else []
    return corpora, set(recordings.read_text(encoding="utf-8").split()) if recordings.is_file() else set()


def load_pretrained(source: str) -> tuple[dict, dict[str, Tensor]]:
    """Options and weights of pretrained layers; no code is read."""
    folder = _folder_of(source)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"pretrained_cnn: {folder / name} does not exist; give a folder that recipes/Pool has written."
            )
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return {name: config["cnn"][name] for name in OPTIONS}, load_file(folder / WEIGHTS)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(
            f"pretrained_cnn: source '{source}' holds no pretrained layers ({error}); give a folder that recipes/Pool "
            "has written."
        ) from None


def _take(student: PretrainedCNN, weights: dict[str, Tensor], source: str) -> None:
    own = student.pretrained()
    wrong = sorted(set(own) ^ set(weights)) or [name for name in own if own[name].shape != weights[name].shape]
    if wrong:
        raise ValueError(
            f"pretrained_cnn: '{wrong[0]}' in source '{source}' does not fit its {CONFIG}; pretrain again, or use "
            "another source."
        )
    student.load_state_dict(weights, strict=False)
