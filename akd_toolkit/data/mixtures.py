"""Unlabelled speech made of a corpus's own utterances."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.files import written_aside
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import measure, prepare_once
from akd_toolkit.data.unlabelled import LABEL
from akd_toolkit.data.views import ViewSettings, make_view

VERSION = 1  # raise it when the sound changes
COPIES = 2  # mixtures of each utterance
JOINED, OVERLAID = 0.35, 0.20  # shares of mixtures of two utterances, one after or over the other
MAX_S = 6.0
FAR = ViewSettings(speed_low=0.65, speed_high=1.5, tilt_db=4.0, bump_db=8.0, gain_db=12.0, snr_db=None)


def prepare_mixtures(manifest: Manifest, save_folder, progress: bool = True) -> Manifest:
    """Two mixtures of every utterance of a corpus, each of one speaker and without a label.

    A mixture is the first half of one utterance and the second half of another, or one over the other, or one alone;
    speed, pitch, formants and spectrum are then changed so much that it could be another speaker. Rows keep their
    speaker, so that a fold uses the mixtures of its training speakers alone.

    Arguments
    ---------
    manifest
        The corpus; its recordings are read only if the mixtures do not exist yet.
    save_folder
        The sound goes to a subfolder named after corpus and manifest hash.
    """
    folder = Path(save_folder) / f"{manifest.title}-mixtures{VERSION}-{manifest.hash}"
    wanted = [(copy, row, f"{row.id}-{copy}") for copy in range(1, COPIES + 1) for row in manifest]
    files = [folder / "wav" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.wav" for _, _, name in wanted]
    if not all(file.is_file() for file in files):
        waveform = AudioStore(manifest, save_folder, progress=progress).waveform
        of_speaker = {s: [row.id for row in manifest if row.speaker == s] for s in manifest.speakers}
        for (copy, row, _), file in zip(tqdm(wanted, desc="mixing", unit="file", disable=not progress), files):
            with written_aside(file) as aside:
                samples = mixture(waveform, of_speaker[row.speaker], row.id, copy)
                soundfile.write(aside, samples, SAMPLE_RATE_HZ, subtype="PCM_16")

    def build() -> Manifest:
        rows = [
            Utterance(name, str(file.resolve()), 0, 0, 0.0, speaker=row.speaker, emotion=LABEL)
            for (_, row, name), file in zip(wanted, files)
        ]
        return Manifest(f"{manifest.title}-mixtures", (LABEL,), tuple(measure(rows, "mixtures", progress)))

    return prepare_once(folder, {"preparer": "mixtures", "version": VERSION, "of": manifest.hash}, files, build)


def mixture(waveform: Callable[[str], np.ndarray], others: list[str], utterance_id: str, copy: int) -> np.ndarray:
    """Mixture number ``copy`` of an utterance: [samples], 16 kHz, at most 6 s; the same in every run.

    Arguments
    ---------
    waveform
        ID of an utterance -> its samples.
    others
        Utterances of the same speaker to mix with.
    """
    key = json.dumps([VERSION, utterance_id, copy]).encode()
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "little"))
    kind, level_db = random.random(), -8.0 * random.random()
    first, second = waveform(utterance_id), waveform(others[random.integers(len(others))])
    if kind < JOINED:
        samples = np.concatenate([first[: len(first) // 2], second[len(second) // 2 :]])
    elif kind < JOINED + OVERLAID:
        samples = np.zeros(max(len(first), len(second)), dtype=np.float32)
        samples[: len(first)] += first
        samples[: len(second)] += second * 10 ** (level_db / 20)
    else:
        samples = first
    samples = samples / max(np.abs(samples).max(), 1e-9)
    return make_view(samples, copy, utterance_id, VERSION, FAR)[: round(MAX_S * SAMPLE_RATE_HZ)]
