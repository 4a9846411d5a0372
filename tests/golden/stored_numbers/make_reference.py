"""Numbers that users keep on disk, of generated speech, with the versions that they are stored under.

python tests/golden/stored_numbers/make_reference.py
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.synthetic import prepare_generated
from akd_toolkit.teachers import attributes
from akd_toolkit.teachers.crossfit import VERSION, crossfit
from akd_toolkit.teachers.logmel_statistics import LogMelStatistics

PATH = Path(__file__).with_name("reference.json")
LABELS = ("anger", "sadness", "neutral")


def compute() -> dict[str, dict]:
    """What is stored -> its version and its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = prepare_generated(folder, LABELS, speakers=4, utterances_per_speaker_and_emotion=2, progress=False)
        audio = AudioStore(manifest, folder, progress=False)
        waveforms = [audio.waveform(name) for name in manifest.ids]
    parts = [LogMelStatistics(num_mels=10, parts=[part]) for part in ("dynamics", "prosody")]
    features = [np.stack([teacher.features(waveform)[0] for waveform in waveforms]) for teacher in parts]
    # Two parts as two layers, so that layer weights are learned too.
    layers = np.stack([part[:, :26] for part in features], axis=1)
    speakers = [row.speaker for row in manifest]
    groups = [[name] for name in sorted(set(speakers))]
    train = [name for group in groups[1:] for name in group]
    targets = crossfit([layers], manifest.labels, speakers, groups, train, LABELS, ids=manifest.ids)
    predictors = attributes.fit_attributes(targets, [layers], features[1][:, :2])
    predicted = attributes.predict_attributes(predictors, targets.head_of, [torch.tensor(layers)])
    whole = LogMelStatistics(num_mels=10)
    # Not their logarithms: another processor moves those of tiny probabilities.
    probs, weights = torch.softmax(targets.logits[:, 0], dim=-1), targets.head.layer_weights
    described = np.stack([whole.features(waveform)[0] for waveform in waveforms[:4]])
    return {
        "logmel_statistics": {"version": whole.version, "features": _listed(described)},
        "heads": {"version": VERSION, "probabilities": _listed(probs), "layer_weights": _listed(weights)},
        "attribute heads": {"version": attributes.VERSION, "attributes": _listed(predicted[:, 0])},
    }


def _listed(values) -> list:
    return np.asarray(values, dtype=float).round(5).tolist()


def changed(stored: dict, now: dict) -> list[str]:
    """Names of numbers that moved by more than another processor moves them (0.0022 for one of the probabilities)."""
    return [
        key
        for key, values in stored.items()
        if np.shape(values) != np.shape(now[key]) or not np.allclose(values, now[key], rtol=1e-3, atol=4e-3)
    ]


def main() -> None:
    now = compute()
    stored = json.loads(PATH.read_text(encoding="utf-8")) if PATH.is_file() else {}
    for name, entry in stored.items():
        if moved := [key for key in changed(entry, now[name]) if entry["version"] == now[name]["version"]]:
            sys.exit(f"{name}: {', '.join(moved)} changed under version {entry['version']}; raise the version first.")
    PATH.write_text(json.dumps(now) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
