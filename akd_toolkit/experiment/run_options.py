"""The command line of a recipe: its YAML, run options of SpeechBrain, and overrides."""

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
# These define the result of an experiment.
FIXED_OPTIONS = ("precision", "debug_batches", "debug_epochs", "max_grad_norm", "grad_accumulation_factor")


def read_command_line(argv: list[str]) -> tuple[str, sb.RunOptions, dict]:
    """Path of the YAML, run options and overrides; ValueError also for run options without effect here."""
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            file, options, overrides = sb.parse_arguments(argv)
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        reason = errors.getvalue().strip().rpartition("error: ")[2]
        raise ValueError(f"the command line cannot be read ({reason}); write train.py YAML --key=value ...") from None
    for word in [word.partition("=")[0] for word in argv if word.startswith("--")]:
        names = [name for name in options if f"--{name}".startswith(word)]  # argparse accepts abbreviations
        if word != "--" and names and word.removeprefix("--") not in OPTIONS:
            near = next((name for name in names if name in OPTIONS), None)
            hint = f"did you mean --{near}?" if near else f"take {', '.join(f'--{name}' for name in OPTIONS)}."
            raise ValueError(f"the run option {word} is unknown or has no effect here; {hint}")
    return file, options, command_line(overrides)


def fixed_options(options: sb.RunOptions) -> dict:
    """Run options on the command line that define the result."""
    return {key: options[key] for key in sorted(options.overridden_args) if key in FIXED_OPTIONS}


def brain_options(options: sb.RunOptions) -> dict:
    """Run options on the command line for SpeechBrain's Brain.

    ``--debug`` is left out, because here it means a small corpus; ``--debug_batches`` and ``--debug_epochs`` limit what
    they name and nothing else.
    """
    given = {key: options[key] for key in options.overridden_args if key not in ("debug", "param_file")}
    if "debug_batches" in given or "debug_epochs" in given:
        given = {"debug": True, "debug_batches": 0, "debug_epochs": 0, **given}
    return given


def check_run_options(options: sb.RunOptions, precision: str = "fp32", jobs: int = 1) -> list[str]:
    """Problems of the run options on this machine; ``precision`` and ``jobs`` are the YAML's."""
    device, known = options.device or sb.utils.distributed.infer_device(), _devices()
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
    if not options.max_grad_norm > 0:  # also true for NaN
        problems.append(f"max_grad_norm: got {options.max_grad_norm}; it must be above 0")
    least = {"debug_batches": 1, "debug_epochs": 1, "grad_accumulation_factor": 1, "nonfinite_patience": 0}
    low = {name: number for name, number in least.items() if options[name] < number}
    return problems + [f"{name}: got {options[name]}; it must be at least {number}" for name, number in low.items()]


def _devices() -> list[str]:
    found = ["cpu"]
    for kind in ("cuda", "xpu"):
        library = getattr(torch, kind)
        if library.is_available():
            found += [kind, *(f"{kind}:{number}" for number in range(library.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
