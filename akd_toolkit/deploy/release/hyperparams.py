"""``hyperparams.yaml`` in SpeechBrain's manner, so that its users see what they know: plain values, never executed."""

import copy
from pathlib import Path

from akd_toolkit.data.files import written_aside
from akd_toolkit.deploy.release.facts import is_place
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.experiment.yaml_tree import override

HEAD = """# How this student was trained, in the manner of SpeechBrain's hyperparams.yaml, for people to read. It calls
# nothing, and nothing reads it: the student is rebuilt from student.json and student.safetensors alone.
"""
COMPRESSED = """# It was compressed after that, as compressed_by tells: number_of_epochs is of its training before, and
# student is what became of it.
"""
LEFT_OUT = ("manifest_hash", "unlabelled_hash", "candidates", "corpus", "label_order", "student", "window_s")
CALLS = ("!name:", "!new:", "!apply:")


def write_hyperparams(path: Path, about: dict, experiment: Experiment) -> None:
    """Write the settings of one run, without paths of this machine and without anything that could be called."""
    from ruamel.yaml import YAML

    settings = copy.deepcopy(experiment.settings)
    for key, value in (about.get("candidate") or {}).items():
        override(settings, key, value)
    told = {
        "seed": about["seed"],
        "fold": about["fold"],
        "corpus": about["corpus"],
        "sample_rate": about["sample_rate_hz"],
        "window_s": about["window_s"],
        "label_order": about["label_order"],
        "out_n_neurons": len(about["label_order"]),
        "student": about["student"],
        **({"compressed_by": about["compressed_by"]} if about.get("compressed_by") else {}),
        **{key: value for key, value in settings.items() if key not in LEFT_OUT and not key.startswith("test_overlap")},
        "test_overlap_s": about["test_overlap_s"],
    }
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = None, False
    yaml.width = 100
    with written_aside(path) as aside, aside.open("w", encoding="utf-8") as file:
        file.write(HEAD + (COMPRESSED if about.get("compressed_by") else ""))
        yaml.dump(plain(told), file)


def plain(value):
    """The same without calls, and with the last part of every path of this machine instead of it.

    Example
    -------
    >>> plain({"opt_class": {"!name:torch.optim.AdamW": {"lr": 1}}, "source": "/home/me/big", "from": "owner/name"})
    {'opt_class': {'class': 'torch.optim.AdamW', 'lr': 1}, 'source': 'big', 'from': 'owner/name'}
    """
    if isinstance(value, dict):
        called = next((key for key in value if str(key).startswith(CALLS)), None)
        if called is not None and len(value) == 1:
            options = value[called] if isinstance(value[called], dict) else {}
            return {"class": str(called).split(":", 1)[1], **plain(options)}
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return Path(value).name if is_place(value) else value
