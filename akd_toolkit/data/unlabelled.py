"""Unlabelled speech, on which a student learns from teacher outputs alone."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from pydantic import Field

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.audio_store import AudioStore, ViewSettings, make_view
from akd_toolkit.data.files import MANIFEST, written_aside
from akd_toolkit.data.importers.tables import read_table
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import measure, prepare_once, trim_silence
from akd_toolkit.data.sounds import find_sounds, without_copies
from akd_toolkit.declared import Section
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)
LABEL = "unlabelled"
MIXING_VERSION = 1  # raise it when the sound of mixtures changes
COPIES = 2  # mixtures of each utterance
JOINED, OVERLAID = 0.35, 0.20  # shares of mixtures of two utterances, one after or over the other
MAX_S = 6.0
FAR = ViewSettings(speed_low=0.65, speed_high=1.5, tilt_db=4.0, bump_db=8.0, gain_db=12.0, snr_db=None)


class Source(Section):
    """How one source of unlabelled speech is used; a value of the setting ``sources``."""

    weight: float = Field(
        1.0, ge=0, description="share of the unlabelled windows, relative to other sources; 0: unused"
    )
    limit: int | None = Field(None, ge=1, description="most utterances that are used, spread over speakers; null: all")
    standardise: float = Field(
        1.0,
        description="teacher features standardised by the source's own statistics (1), the corpus's (0) or between",
        ge=0,
        le=1,
    )
    balance: Literal["none", "speakers", "classes"] = Field(
        "none", description="draw speakers, or the classes that the teachers predict, equally often"
    )


def limited(manifest: Manifest, limit: int | None) -> Manifest:
    """At most ``limit`` utterances, as many of each speaker as possible; always the same ones."""
    if limit is None or limit >= len(manifest):
        return manifest
    order = {name: hashlib.sha256(name.encode()).hexdigest() for name in manifest.ids}
    turns, drawn = Counter(), []
    for row in sorted(manifest, key=lambda row: order[row.id]):
        drawn.append((turns[row.speaker], order[row.id], row.id))
        turns[row.speaker] += 1
    chosen = {name for _, _, name in sorted(drawn)[:limit]}
    return Manifest(manifest.corpus, manifest.label_order, tuple(row for row in manifest if row.id in chosen))


def equal_chances(groups) -> np.ndarray:
    """Probability of each row such that every group is drawn equally often: 1/4, 1/4, 1/2 of groups a, a, b."""
    _, group, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[group])


def titled(value: str | Mapping[str, str] | None) -> dict[str, str]:
    """Title -> folder from the setting ``unlabelled``; a folder alone is titled by its name."""
    if not value:
        return {}
    return {Path(value).name: value} if isinstance(value, str) else dict(value)


def hashes(settings: Mapping) -> dict[str, str]:
    """Title -> manifest hash of a stored experiment's unlabelled speech."""
    return dict(settings.get("unlabelled_hash") or {})


@CORPORA.register("unlabelled")
def prepare_unlabelled(folder, save_folder, progress: bool = True, option: str = LABEL) -> Manifest:
    """Any folder of speech, at any depth; no label is read from it.

    Speakers come from the columns ``file`` and ``speaker`` of a ``manifest.csv`` in the folder, if there is one; they
    must not be those of the corpus it is used with. Silence before and after the speech is left out, and so are files
    that cannot be read, are silent or too short; the log counts them. The manifest goes to a subfolder of
    ``save_folder`` named after the folder. ``option`` is the setting that named the folder, for errors.

    FileNotFoundError if there is no such folder; ValueError if it holds no audio, or no file is good.
    """
    folder = Path(folder)
    advice = "give a folder of speech" + (", 'mixtures' or null" if option == LABEL else "")
    files = without_copies(find_sounds(folder, option, advice))

    def build() -> Manifest:
        rows, skipped = [], []
        for path in files:
            name, speaker = path.relative_to(folder), speakers.get(path.relative_to(folder).as_posix(), LABEL)
            rows.append(Utterance(str(name), str(path.resolve()), 0, 0, 0.0, speaker, LABEL))
        rows = [trim_silence(row) for row in measure(rows, folder.name, progress, skipped=skipped)]
        if skipped:
            left_out = len(skipped), len(files), skipped[0]
            logger.warning("%s: %d of %d files are left out; the first: %s", folder, *left_out)
        return Manifest(folder.name, (LABEL,), tuple(rows))

    home = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    arguments = {"preparer": LABEL, "folder": str(folder.resolve())}
    speakers = _speakers(folder)
    if speakers:
        arguments["speakers"] = hashlib.sha256(json.dumps(speakers, sort_keys=True).encode()).hexdigest()[:12]
    return prepare_once(Path(save_folder) / f"{folder.name}-{home}", arguments, files, build)


def _speakers(folder: Path) -> dict[str, str]:
    """File -> speaker, prefixed by the folder's name, so that speaker 03 of one corpus is not 03 of another."""
    table = folder / MANIFEST
    rows = read_table(table) if table.is_file() else {}
    if not {"file", "speaker"} <= set(rows):
        return {}
    return {file: f"{folder.name}/{speaker}" for file, speaker in zip(rows["file"], rows["speaker"])}


def find_unlabelled(experiment_folder, wanted: str) -> Manifest | None:
    """The manifest with the hash ``wanted`` in a store of the experiment's folder or of the three above it, or None."""
    folder = Path(experiment_folder).resolve()
    for place in [folder, *list(folder.parents)[:3]]:
        for path in sorted(place.glob(f"store/*/{MANIFEST}")):
            try:
                if json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("hash") == wanted:
                    return Manifest.read(path)
            except (OSError, ValueError, AttributeError):
                continue  # a damaged store of another corpus
    return None


def prepare_mixtures(manifest: Manifest, save_folder, progress: bool = True) -> Manifest:
    """Two mixtures of every utterance of a corpus, each of one speaker and without a label.

    A mixture is the first half of one utterance and the second half of another, or one over the other, or one alone;
    speed, pitch, formants and spectrum are then changed so much that it could be another speaker. Rows keep their
    speaker, so that a fold uses the mixtures of its training speakers alone. The sound goes to a subfolder of
    ``save_folder``; the recordings are read only if it does not exist yet.
    """
    folder = Path(save_folder) / f"{manifest.title}-mixtures{MIXING_VERSION}-{manifest.hash}"
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
        named = zip(wanted, files)
        rows = [Utterance(name, str(file.resolve()), 0, 0, 0.0, row.speaker, LABEL) for (_, row, name), file in named]
        return Manifest(f"{manifest.title}-mixtures", (LABEL,), tuple(measure(rows, "mixtures", progress)))

    return prepare_once(folder, {"preparer": "mixtures", "version": MIXING_VERSION, "of": manifest.hash}, files, build)


def mixture(waveform: Callable[[str], np.ndarray], others: list[str], utterance_id: str, copy: int) -> np.ndarray:
    """Mixture number ``copy`` of an utterance with ``others`` of its speaker; the same in every run.

    [samples], 16 kHz, at most 6 s. ``waveform`` maps an ID to samples.
    """
    key = json.dumps([MIXING_VERSION, utterance_id, copy]).encode()
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
    return make_view(samples, copy, utterance_id, MIXING_VERSION, FAR)[: round(MAX_S * SAMPLE_RATE_HZ)]
