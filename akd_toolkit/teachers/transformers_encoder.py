"""Frozen speech encoders of the ``transformers`` library, from the hub or from a folder."""

import json
import re
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import SAMPLE_RATE_HZ, Teacher, check_same_order, count_parameters, file_hash
from akd_toolkit.teachers.pretrained import find_folder, load_checked, weight_files

MODEL_TYPES = ("hubert", "wav2vec2", "wavlm", "whisper")
MAX_WINDOW = 30 * SAMPLE_RATE_HZ  # Whisper has positions for 30 s; the others would need memory for all pairs
WHISPER_HOP = 320  # samples per frame after the second convolution's stride


@TEACHERS.register("transformers_encoder")
class TransformersEncoder(Teacher):
    """A frozen encoder (wav2vec 2.0, HuBERT, WavLM, Whisper): mean and deviation over frames, for every layer.

    Layer 0 is the input of the first transformer layer, layer k the output of the k-th, before any final normalisation.
    Features are [L, 2 D]. Whisper runs on the utterance without padding to 30 s, with the first positions of its table.
    Longer utterances are cut into equal windows and pooled together.

    Source: Baevski et al. 2020 (wav2vec 2.0), Hsu et al. 2021 (HuBERT), Chen et al. 2022 (WavLM), Radford et al. 2022
    (Whisper); statistics of all layers as in Yang et al. 2021 (SUPERB).

    Arguments
    ---------
    source
        Name on the hub, such as ``facebook/wav2vec2-large``, or a folder, see ``find_folder``.
    layers
        Layers to describe, 0 to the number of transformer layers; null means all.
    frame_layer
        Layer of ``frames``; null means the highest of ``layers``.
    revision
        Revision on the hub; null means the newest.

    FileNotFoundError without the folder, file or hub; ValueError for a model of another type, or with a weight that is
    missing or has another shape.

    Example
    -------
    >>> TransformersEncoder("./no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: teacher folder ./no/such/folder does not exist; give a save_pretrained folder or a hub name.
    """

    name = "transformers_encoder"
    version = 1
    frame_rate_hz = 50.0
    model_types = MODEL_TYPES
    files = ("config.json", "preprocessor_config.json")  # needed beside the weights
    patterns = ("*.json",)  # of files beside the weights that are fetched from the hub; none holds code
    unused = r"(model\.)?decoder\.|lm_head"  # weights
    example_options = {"source": "facebook/wav2vec2-base"}

    def __init__(
        self,
        source: str,
        layers: list[int] | None = None,
        frame_layer: int | None = None,
        revision: str | None = None,
    ):
        self.source = str(source)
        self.folder = find_folder(self.source, revision, self.patterns)
        self.title = self.folder.name if Path(self.source).expanduser().is_dir() else self.source
        self.config = self._read_config()
        self.model_type = self.config["model_type"]
        depth = self._depth  # of the whole encoder
        self.layers = list(range(depth + 1)) if layers is None else [int(layer) for layer in layers]
        self.frame_layer = max(self.layers, default=0) if frame_layer is None else int(frame_layer)
        wrong = [layer for layer in [*self.layers, self.frame_layer] if not 0 <= layer <= depth]
        if wrong or not self.layers:
            raise ValueError(
                f"teacher {self.title} has layers 0 to {depth}, got layers {self.layers} and frame_layer "
                f"{self.frame_layer}; name at least one of these, or null for all."
            )
        self.num_layers = len(self.layers)

    @property
    def _depth(self) -> int:
        return self.config["encoder_layers" if self.model_type == "whisper" else "num_hidden_layers"]

    def _read_config(self) -> dict:
        for name in self.files:
            if not (self.folder / name).is_file():
                raise FileNotFoundError(f"teacher folder {self.folder} holds no {name}; copy it from the model's page.")
        config = json.loads((self.folder / "config.json").read_text())
        if (kind := config.get("model_type")) not in self.model_types:
            known = ", ".join(self.model_types)
            raise ValueError(f"teacher folder {self.folder} holds a model of type '{kind}'; {self.name} reads {known}.")
        return config

    def identity(self) -> dict:
        return {"weights": file_hash(self._hashed), "layers": self.layers, "frame_layer": self.frame_layer}

    @property
    def _hashed(self) -> list[Path]:
        """Files that change the features."""
        return [*weight_files(self.folder), *sorted(self.folder.glob("*config.json"))]

    def check_label_order(self, label_order) -> None:
        """Refuse a folder whose ``id2label`` names the same classes in another order."""
        names = self.config.get("id2label") or {}
        theirs = [str(names[key]).lower() for key in sorted(names, key=int)]
        ours = [str(label).lower() for label in label_order]
        if sorted(theirs) == sorted(ours):
            check_same_order(theirs, ours, f"teacher {self.title}")

    def features(self, waveform: np.ndarray) -> np.ndarray:
        return self._pooled(self._hidden(waveform))

    def features_and_frames(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = self._hidden(waveform)
        return self._pooled(hidden), hidden[self.frame_layer].cpu().numpy()

    def _pooled(self, hidden: dict[int, torch.Tensor]) -> np.ndarray:
        states = torch.stack([hidden[layer] for layer in self.layers])  # [L, T, D]
        deviation, mean = torch.std_mean(states, dim=1, correction=0)
        return torch.cat([mean, deviation], dim=-1).cpu().numpy()  # [L, 2 D]

    @torch.no_grad()  # not inference_mode: the outputs may enter a student's graph
    def _hidden(self, waveform: np.ndarray) -> dict[int, torch.Tensor]:
        """Frames [T, D] of every layer up to the highest one used, over all windows of the utterance."""
        num_windows = -(-len(waveform) // MAX_WINDOW)
        windows = [self._run(window) for window in np.array_split(waveform, num_windows)]
        return {layer: torch.cat([window[layer] for window in windows]) for layer in windows[0]}

    def _run(self, waveform: np.ndarray) -> dict[int, torch.Tensor]:
        encoder, caught = self._loaded
        caught.clear()
        options = {"sampling_rate": SAMPLE_RATE_HZ, "return_tensors": "pt"}
        if self.model_type == "whisper":
            # It takes no mask, so padding would be pooled as silence: shorten the table of positions instead.
            num_frames = -(-len(waveform) // WHISPER_HOP)
            whole = np.pad(waveform, (0, num_frames * WHISPER_HOP - len(waveform)))
            inputs = self._extractor(whole, padding=False, truncation=False, **options).input_features
            encoder.config.max_source_positions = num_frames
            encoder.embed_positions = torch.nn.Embedding.from_pretrained(encoder.all_positions[:num_frames])
        else:
            inputs = self._extractor(waveform, **options).input_values
        encoder(inputs.to(self.device))
        return dict(caught)

    @cached_property
    def _extractor(self):
        from transformers import AutoFeatureExtractor

        return AutoFeatureExtractor.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)

    @cached_property
    def _loaded(self) -> tuple[torch.nn.Module, dict[int, torch.Tensor]]:
        """The frozen encoder, and the dictionary that holds its layers' outputs after each call."""
        model = _load_checked(self.folder, self.model_type == "whisper", self._highest, self.title)
        encoder = model.encoder if self.model_type == "whisper" else model
        encoder.to(self.device).eval().requires_grad_(False)
        if self.model_type == "whisper":
            encoder.all_positions = encoder.embed_positions.weight.data
        caught: dict[int, torch.Tensor] = {}
        _catch_outputs(encoder.layers if self.model_type == "whisper" else encoder.encoder.layers, caught)
        return encoder, caught

    @property
    def _highest(self) -> int:
        """How many transformer layers are loaded."""
        return max(1, *self.layers, self.frame_layer)

    @property
    def num_parameters(self) -> int:
        """Of the encoder, up to the highest layer that is used."""

        def used(name: str) -> bool:
            layer = re.search(r"\.(?:layers?|block)\.(\d+)\.", name)
            return not re.match(self.unused, name) and (layer is None or int(layer.group(1)) < self._highest)

        return count_parameters(weight_files(self.folder), used)


def _load_checked(folder: Path, whisper: bool, depth: int, title: str):
    """The lowest ``depth`` layers; a model with a weight that is not in the file is refused."""
    from transformers import AutoModel

    # Masking is for training; without it the model has no masking vector that a file could lack.
    smaller = {"num_hidden_layers": depth, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    if whisper:
        smaller = {"encoder_layers": depth, "decoder_layers": 0}  # the decoder is never run
    used = "encoder." if whisper else ""
    return load_checked(AutoModel, folder, title, lambda key: key.startswith(used), **smaller)


def _catch_outputs(blocks, caught: dict[int, torch.Tensor]) -> None:
    """Hooks by which every transformer layer puts its frames [T, D] into ``caught``; key 0 is the first's input."""

    def catch_input(module, args, kwargs):
        caught[0] = (args[0] if args else kwargs["hidden_states"])[0].detach().clone()

    def catch_output(index, module, args, output):
        caught[index] = (output[0] if isinstance(output, tuple) else output)[0].detach()

    blocks[0].register_forward_pre_hook(catch_input, with_kwargs=True)
    for index, block in enumerate(blocks, start=1):
        block.register_forward_hook(partial(catch_output, index))
