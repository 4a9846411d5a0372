"""Training with weights and activations rounded as the 8-bit file will round them."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
FP32 = ("front_end", "classifier", "regressor")  # these stay in 32 bits in the file
MOMENTUM = 0.05  # of a range's moving mean


class RoundedWeight(nn.Module):
    """Weights as symmetric 8-bit integers with a scale for each output channel; gradients pass through.

    Example
    -------
    >>> RoundedWeight()(torch.tensor([[1.27, 0.504], [12.7, 0.04]]))  # steps of 0.01 and of 0.1
    tensor([[ 1.2700,  0.5000],
            [12.7000,  0.0000]])
    """

    def forward(self, weight: Tensor) -> Tensor:
        scale = weight.detach().abs().flatten(1).amax(dim=1).clamp(min=1e-12) / 127  # [channels out]
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)


class RoundedInput(nn.Module):
    """Activations as 8-bit integers over one range, a moving mean over training batches that always holds 0.

    Example
    -------
    >>> RoundedInput()(torch.tensor([0.0, 2.55, 1.234]))  # steps of 0.01
    tensor([0.0000, 2.5500, 1.2300])
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            low, high = x.detach().amin().clamp(max=0.0), x.detach().amax().clamp(min=0.0)
            share = MOMENTUM if self.seen else 1.0
            self.low.lerp_(low, share)
            self.high.lerp_(high, share)
            self.seen.fill_(True)
        scale = ((self.high - self.low) / 255).clamp(min=1e-12)
        zero_point = (-self.low / scale).round().clamp(0, 255).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, 255)


@contextmanager
def fake_quantised(student: nn.Module):
    """Round the student's weights and activations within a ``with`` block; afterwards its structure is as before."""
    layers = [m for name, m in student.named_modules() if isinstance(m, LAYERS) and name.split(".")[0] not in FP32]
    hooks = []
    try:
        for layer in layers:
            parametrize.register_parametrization(layer, "weight", RoundedWeight())
            layer.add_module("rounded_input", RoundedInput())
            hooks.append(
                layer.register_forward_pre_hook(lambda own, inputs: (own.rounded_input(inputs[0]), *inputs[1:]))
            )
        yield student
    finally:
        for layer, hook in zip(layers, hooks):
            hook.remove()
            del layer.rounded_input
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
