"""The command line of a recipe: its YAML, the run options of SpeechBrain that have an effect here, and overrides."""

import io
from contextlib import redirect_stderr

import torch

from akd_toolkit.environment import sb
from akd_toolkit.experiment.yaml_tree import command_line
from akd_toolkit.training.processes import launched

OPTIONS = (
    *("device", "precision", "eval_precision", "debug", "debug_batches", "debug_epochs", "noprogressbar"),
    *("max_grad_norm", "grad_accumulation_factor", "skip_nonfinite_grads", "nonfinite_patience"),
)
# Experiments that differ in one of these are two.
FIXED_OPTIONS = ("precision", "debug_batches", "debug_epochs", "max_grad_norm", "grad_accumulation_factor")


def read_command_line(argv: list[str]) -> tuple[str, sb.RunOptions, dict]:
    """The YAML's path, the run options, and the overrides of settings.

    Raises
    ------
    ValueError
        If the words cannot be read, or name a run option or an abbreviation that would have no effect.
    """
    heard = io.StringIO()
    try:
        with redirect_stderr(heard):
            file, options, overrides = sb.parse_arguments(argv)
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        reason = heard.getvalue().strip().rpartition("error: ")[2]
        raise ValueError(f"the command line cannot be read ({reason}); write train.py YAML --key=value ...") from None
    given = [word.partition("=")[0] for word in argv if word.startswith("--")]
    for word in given:
        names = [name for name in options if f"--{name}".startswith(word)]
        if word != "--" and names and word.removeprefix("--") not in OPTIONS:
            near = next((name for name in names if name in OPTIONS), None)
            hint = f"did you mean --{near}?" if near else f"take {', '.join(f'--{name}' for name in OPTIONS)}."
            raise ValueError(f"the run option {word} is unknown or has no effect here; {hint}")
    return file, options, command_line(overrides)


def check_run_options(options: sb.RunOptions, precision: str = "fp32", jobs: int = 1) -> list[str]:
    """What this machine cannot do, and values out of range; ``precision`` and ``jobs`` are the YAML's."""
    device, known = options.device or sb.utils.distributed.infer_device(), devices()
    problems = []
    if device not in known:
        problems.append(f"device: got '{device}', and this machine has {', '.join(known)}")
    if launched() and device.startswith("cuda") and options.device:
        problems.append(f"device: got '{device}', but torchrun gives each process a GPU; leave it out, or take cpu")
    if launched() and jobs > 1:
        problems.append(f"jobs: got {jobs}, but the processes of torchrun train one student together; set jobs to 1")
    precision = options.precision if "precision" in options.overridden_args else precision
    for name, value in (("precision", precision), ("eval_precision", options.eval_precision)):
        if device == "cpu" and value == "fp16":
            problems.append(f"{name}: fp16 needs a GPU; take bf16 or fp32 (--{name} bf16)")
    if not options.max_grad_norm > 0:  # the negation also catches NaN
        problems.append(f"max_grad_norm: got {options.max_grad_norm}; it must be above 0")
    for name in ("debug_batches", "debug_epochs", "grad_accumulation_factor"):
        if options[name] < 1:
            problems.append(f"{name}: got {options[name]}; it must be a count from 1")
    if options.nonfinite_patience < 0:
        problems.append(f"nonfinite_patience: got {options.nonfinite_patience}; it must be a count from 0")
    return problems


def devices() -> list[str]:
    """Names of the devices of this machine that PyTorch can use."""
    found = ["cpu"]
    for kind in ("cuda", "xpu"):
        library = getattr(torch, kind)
        if library.is_available():
            found += [kind, *(f"{kind}:{number}" for number in range(library.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
