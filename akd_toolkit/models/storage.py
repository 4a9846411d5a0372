"""A trained student on disk: weights as safetensors, everything else as plain JSON. Loading it runs no code."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import akd_toolkit.models  # noqa: F401  (registers)
from akd_toolkit.data.files import SETTINGS, WEIGHTS, write_text_aside, written_aside
from akd_toolkit.models.features.log_mel import LogMel
from akd_toolkit.registry import STUDENTS


def save_student(folder: str | Path, student: torch.nn.Module, spec: dict, label_order, **about) -> None:
    """Write ``student.safetensors`` and ``student.json`` into ``folder``.

    Arguments
    ---------
    spec
        ``{name: registered student, its options}``. A student with ``build_options`` (one that began as another model)
        gives options of its own, so that it can be rebuilt without that model.
    label_order
        Names of the classes in the order of the logits.
    about
        Plain data to keep beside them: window, sample rate, corpus, speakers, ... ``attributes``, if given, names the
        dimensional labels in the order in which the student predicts them.
    """
    folder = Path(folder)
    options = student.build_options if hasattr(student, "build_options") else spec
    settings = {
        "student": {
            "name": spec["name"],
            **{key: value for key, value in options.items() if key not in ("name", "num_classes")},
        },
        "label_order": list(label_order),
        "num_parameters": sum(parameter.numel() for parameter in student.parameters()),
        **({"log_mel_version": LogMel.version} if has_log_mel(student) else {}),
        **about,
    }
    with written_aside(folder / WEIGHTS) as aside:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in student.state_dict().items()}, aside)
    write_text_aside(folder / SETTINGS, json.dumps(settings, indent=2) + "\n")


def load_student(folder: str | Path) -> tuple[torch.nn.Module, dict]:
    """The student in evaluation mode, and the settings in ``student.json``.

    Raises
    ------
    FileNotFoundError
        If either file is missing.
    ValueError
        If the settings are invalid, or the weights do not fit them.
    """
    folder = Path(folder)
    for name in (WEIGHTS, SETTINGS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} holds no trained student: {name} is missing; give the folder of a finished run."
            )
    try:
        about = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        spec, label_order = about["student"], about["label_order"]
        student = STUDENTS.build(**spec, num_classes=len(label_order))
        if about.get("attributes"):
            student.add_attributes(len(about["attributes"]))
        student.load_state_dict(load_file(folder / WEIGHTS))
        version = about.get("log_mel_version", 1)
    except (KeyError, TypeError, RuntimeError, SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        reason = f"{SETTINGS} lacks {error}" if isinstance(error, KeyError) else str(error).split("\n")[0]
        raise ValueError(
            f"{folder} holds no readable student ({reason}); delete {folder} and run again what made it (of a "
            "training, its recipe)."
        ) from None
    if has_log_mel(student) and version != LogMel.version:
        raise ValueError(
            f"{folder} was trained on log-mels of version {version}, this toolkit computes version {LogMel.version}; "
            "train it again, or use its exported file, which holds its own features."
        )
    return student.eval(), about


def has_log_mel(student: torch.nn.Module) -> bool:
    """Whether the student's front end is ``LogMel``, alone or under MFCCs."""
    return any(isinstance(module, LogMel) for module in student.modules())
