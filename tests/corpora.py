"""Corpora of sound files, written for tests."""

from collections.abc import Iterable
from pathlib import Path

import soundfile

from akd_toolkit.data.manifest import Manifest, Utterance


def write_corpus(folder: Path, speech: Iterable[tuple], labels=("anger", "sadness"), name="Toy") -> Manifest:
    """WAV files in ``folder`` and their manifest; ``speech`` holds (ID, speaker, emotion, samples[, other columns])."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for title, speaker, emotion, samples, *columns in speech:
        path, count = folder / f"{title}.wav", len(samples)
        soundfile.write(path, samples, 16000, subtype="PCM_16")
        known = {"sha256": title, **(columns[0] if columns else {})}
        rows.append(Utterance(title, str(path), 0, count, count / 16000, speaker, emotion, **known))
    return Manifest(name, tuple(labels), tuple(rows))
