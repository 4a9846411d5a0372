"""The compression steps: prune, finetune, fp16 and quantize."""

from collections.abc import Iterable
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.augment.base import check_count
from akd_toolkit.data.batches import Batch
from akd_toolkit.deploy.compress.pruning import groups_of, narrow_options, narrowed
from akd_toolkit.deploy.compress.steps import COMPRESSIONS, Compression, Work
from akd_toolkit.deploy.export.precision import to_fp16, to_int8
from akd_toolkit.deploy.export.speech import training_speech
from akd_toolkit.distill.objective import Objective
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.registry import STUDENTS

IMPORTANCES = ("norm", "taylor")
QUANTIZE_MODES = ("dynamic", "static", "qat")
# Layers that training with ``qat`` rounds, except the parts that stay in 32 bits in the file.
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
FP32 = ("front_end", "classifier", "regressor")  # these stay in 32 bits in the file
MOMENTUM = 0.05  # of a range's moving mean


def check_training(epochs, fewest: int, lr) -> None:
    """Raise ValueError unless there are ``fewest`` epochs or more, and the learning rate is in (0, 1]."""
    check_count("epochs", epochs, fewest)
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr <= 1:
        raise ValueError(f"lr must be a number in (0, 1], got {lr!r}.")


@COMPRESSIONS.register("prune")
class Prune(Compression):
    """Remove the least important channels whole, and train on; the student stays of its kind, with smaller options.

    Source: Li et al. 2017, "Pruning filters for efficient ConvNets"; Molchanov et al. 2019, "Importance estimation for
    neural network pruning". Channels that must go together are grouped as in Fang et al. 2023, "DepGraph: towards any
    structural pruning", but listed for each student (``pruning.py``).

    Arguments
    ---------
    share
        Share of each width to remove, in [0, 1); one number, or a mapping from options such as
        ``{channels: 0.25, dim: 0.5}``.
    importance
        ``norm`` (squared weights) or ``taylor`` (what the objective loses on training speech).
    multiple
        Widths that shrink become multiples of this, >= 1; 8 suits vector units.
    epochs, lr
        Of the training afterwards: epochs >= 0, and the peak of the learning rate in (0, 1].

    Example
    -------
    >>> Prune(share=1.0)
    Traceback (most recent call last):
    ValueError: share must be a number in [0, 1), or a mapping from options to such numbers, got 1.0.
    """

    example_options = {"share": 0.5, "multiple": 4}
    changes_student = True

    def __init__(self, share=0.25, importance: str = "norm", multiple: int = 8, epochs: int = 0, lr: float = 0.001):
        for value in share.values() if isinstance(share, dict) else [share]:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"share must be a number in [0, 1), or a mapping from options to such numbers, got {share}."
                )
        if importance not in IMPORTANCES:
            raise ValueError(f"importance must be one of {', '.join(IMPORTANCES)}, got '{importance}'.")
        check_count("multiple", multiple, 1)
        check_training(epochs, 0, lr)
        self.share, self.importance, self.multiple, self.epochs, self.lr = share, importance, multiple, epochs, lr

    def check(self, spec: dict) -> None:
        student = STUDENTS.build(**spec, num_classes=2)
        narrow_options(spec, groups_of(student, spec["name"]), self.share, self.multiple)

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        scores = by_norm(work.student)
        if self.importance == "taylor":
            parts = build_parts(work.source.training(work.number, work.spec), work.student)
            scores = by_taylor(work.student, parts.objective, parts.data.train_loader())
        student, spec = narrowed(work.student, work.spec, self.share, scores, self.multiple)
        return work.train(student, spec, self.epochs, self.lr), spec


def by_norm(student: nn.Module) -> dict[str, Tensor]:
    """Square of every learned number, by the name of its tensor.

    Source: Li et al. 2017; squares, so that those of a group add up.

    Example
    -------
    >>> by_norm(nn.Linear(1, 1, bias=False).requires_grad_(False).apply(lambda m: m.weight.fill_(-3.0)))
    {'weight': tensor([[9.]])}
    """
    return {name: parameter.detach().square() for name, parameter in student.named_parameters()}


def by_taylor(student: nn.Module, objective: Objective, batches: Iterable[Batch], count: int = 16) -> dict[str, Tensor]:
    """How much the objective on ``count`` training batches would change if a number were 0, to first order.

    score = sum over batches of (number * d objective / d number)^2

    Source: Molchanov et al. 2019, equation (8). The student is in evaluation mode, so that neither dropout nor running
    statistics change; the objective's own weights are those at the start of training.
    """
    named = dict(student.eval().named_parameters())
    scores = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for batch in islice(batches, count):
        output = student(batch.waveforms, batch.lengths)
        total = objective(output, batch.teacher, batch.labels, batch.attributes).total
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients):
            if gradient is not None:
                scores[name] += (named[name] * gradient).detach().square()
    return scores


@COMPRESSIONS.register("finetune")
class Finetune(Compression):
    """Train on under the run's own objective, on its training speakers.

    Source: the training loop of the run (``training.brain.DistillBrain``), started over with a lower learning rate.

    Arguments
    ---------
    epochs, lr
        Epochs >= 1, and the peak of the learning rate in (0, 1].

    Example
    -------
    >>> Finetune(epochs=3).changes_student
    True
    """

    example_options = {"epochs": 1}
    changes_student = True

    def __init__(self, epochs: int, lr: float = 0.001):
        check_training(epochs, 1, lr)
        self.epochs, self.lr = epochs, lr

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        return work.train(work.student, work.spec, self.epochs, self.lr), work.spec


@COMPRESSIONS.register("fp16")
class Fp16(Compression):
    """Write a file in half precision; the front end stays in 32 bits.

    Source: ``export/precision.py``, which says how a CPU runs such a file.

    Example
    -------
    >>> Fp16().file
    'student.fp16.onnx'
    """

    file = "student.fp16.onnx"

    def write(self, work: Work, exported: Path, target: Path) -> None:
        to_fp16(exported, target)


@COMPRESSIONS.register("quantize")
class Quantize(Compression):
    """Write a file of 8-bit integers; the front end stays in 32 bits.

    ``dynamic``: weights are integers, and every call finds the range of its activations. ``static``: that range is
    fixed beforehand, on speech of training speakers. ``qat``: the student is first trained with rounded weights and
    activations, under its own objective; then as static.

    Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference". Differs: the exporter folds a norm into its convolution after training instead of during it; with a
    scale for each channel the rounding is the same.

    Arguments
    ---------
    mode
        ``dynamic``, ``static`` or ``qat``.
    utterances
        Of training speakers, for the ranges of activations, >= 1.
    epochs, lr
        Of training with ``qat``: epochs >= 1, and the peak of the learning rate in (0, 1].

    Example
    -------
    >>> Quantize(mode="static").changes_student, Quantize(mode="qat", epochs=1).changes_student
    (False, True)
    """

    file = "student.int8.onnx"

    def __init__(self, mode: str = "static", utterances: int = 64, epochs: int = 0, lr: float = 0.0003):
        if mode not in QUANTIZE_MODES:
            raise ValueError(f"mode must be one of {', '.join(QUANTIZE_MODES)}, got '{mode}'.")
        check_count("utterances", utterances, 1)
        check_training(epochs, 0, lr)
        if (epochs > 0) != (mode == "qat"):
            raise ValueError(f"mode {mode} with {epochs} epochs makes no sense; qat needs 1 or more, the others 0.")
        self.mode, self.utterances, self.epochs, self.lr = mode, utterances, epochs, lr
        self.changes_student = mode == "qat"

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        with fake_quantised(work.student) as student:
            work.train(student, work.spec, self.epochs, self.lr, precision="fp32", weight_average=0.0)
        return work.student.eval(), work.spec

    def write(self, work: Work, exported: Path, target: Path) -> None:
        dynamic = self.mode == "dynamic"
        speech = None if dynamic else calibration(work, self.utterances)
        to_int8(exported, target, speech, mode="dynamic" if dynamic else "static")


def calibration(work: Work, utterances: int) -> list[np.ndarray]:
    """The first window of that many utterances of training speakers, evenly spread over the corpus: each [samples]."""
    run = work.source.run
    speech = training_speech(work.source.experiment, run, utterances, progress=False)
    return [waveform[: round(run.record.window_s * SAMPLE_RATE_HZ)] for waveform in speech.values()]


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
