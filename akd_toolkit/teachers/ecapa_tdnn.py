"""A speaker-recognition model as a teacher: it represents voices, not words."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import Teacher, count_parameters, file_hash

ARCHITECTURE = {
    "input_size": 80,
    "channels": [1024, 1024, 1024, 1024, 3072],
    "kernel_sizes": [5, 3, 3, 3, 1],
    "dilations": [1, 2, 3, 4, 1],
    "attention_channels": 128,
    "lin_neurons": 192,
}


@TEACHERS.register("ecapa_tdnn")
class EcapaTDNN(Teacher):
    """Mean and deviation of 3072 features inside SpeechBrain's ECAPA-TDNN (VoxCeleb), before the speaker embedding.

    Features are [2, 6144]: over all frames equally, and weighted by the model's own attention. Both contain more about
    emotion than the speaker embedding of 192 numbers, which was trained to ignore it.

    Source: Desplanques, Thienpondt & Demuynck 2020; Ravanelli et al. 2021 (``speechbrain/spkrec-ecapa-voxceleb``).

    ``source`` is the safetensors file of the published embedding model, or the folder of that one file; 16-bit values
    are widened. FileNotFoundError without it, ValueError if a weight is missing, unexpected or of another shape.

    Example
    -------
    >>> EcapaTDNN("./no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: teacher folder ./no/such/folder holds no weights (one .safetensors file); copy the model there.
    """

    name = "ecapa_tdnn"
    version = 1
    title = "ECAPA-TDNN"
    num_layers = 2
    example_options = {"source": "ecapa-tdnn-voxceleb"}

    def __init__(self, source: str):
        path = Path(source).expanduser()
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if len(files) != 1 or not files[0].is_file():
            raise FileNotFoundError(
                f"teacher folder {source} holds no weights (one .safetensors file); copy the model there."
            )
        self.path = files[0].resolve()

    def identity(self) -> dict:
        return {"weights": file_hash([self.path])}

    @torch.no_grad()
    def features(self, waveform: np.ndarray) -> np.ndarray:
        model, fbank, caught = self._loaded
        bands = fbank(torch.tensor(waveform)[None].to(self.device))  # [1, T, 80]
        model(bands - bands.mean(dim=1, keepdim=True))
        deviation, mean = torch.std_mean(caught["frames"], dim=-1, correction=0)  # [1, 3072]
        even = torch.cat([mean, deviation], dim=1)
        return torch.cat([even, caught["attentive"].flatten(1)]).cpu().numpy()

    @cached_property
    def _loaded(self):
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        import akd_toolkit.environment  # noqa: F401  (explains why SpeechBrain cannot be loaded)

        model = ECAPA_TDNN(**ARCHITECTURE)
        try:
            model.load_state_dict({key: value.float() for key, value in load_file(self.path).items()}, strict=True)
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(
                f"teacher file {self.path} does not hold exactly the weights of ECAPA-TDNN "
                f"({' '.join(str(error).split())[:300]}); the teacher would be partly random. Copy the file again."
            ) from error
        caught = {}
        model.asp.register_forward_hook(
            lambda module, args, output: caught.update(frames=args[0].detach(), attentive=output.detach())
        )
        fbank = Fbank(n_mels=ARCHITECTURE["input_size"]).to(self.device)
        return model.to(self.device).eval().requires_grad_(False), fbank, caught

    @property
    def num_parameters(self) -> int:
        return count_parameters([self.path], lambda name: "running_" not in name and "num_batches" not in name)
