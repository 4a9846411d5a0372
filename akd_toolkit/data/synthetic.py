"""A corpus made by the toolkit: generated voices that act emotions, for demonstrations, debugging and tests.

It needs no download and shows that a run works; its scores say nothing about human speech.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import GENERATED, write_text_aside
from akd_toolkit.data.layouts import LAYOUTS, Layout, Spoken
from akd_toolkit.data.manifest import Manifest
from akd_toolkit.data.preparing import measure, prepare_once, unmeasured
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.voice import ACTINGS, Speaker, attributes_of, random_sentence, random_speaker, speak
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

VERSION = 1  # raise it when the sound changes, so that existing corpora are generated again
DEFAULT_EMOTIONS = ("anger", "happiness", "sadness", "neutral")


def generate_corpus(
    folder,
    speakers: int | Sequence[str] = 8,
    emotions: Sequence[str] = DEFAULT_EMOTIONS,
    utterances_per_speaker_and_emotion: int = 8,
    seed: int = 0,
    layout: str = "generated",
    progress: bool = True,
) -> Path:
    """Write a generated corpus as 16 kHz WAV files to ``folder``, or reuse the one that is there.

    The same arguments give the same samples. Every speaker says the same sentences in every emotion, so that words do
    not reveal the label.

    Arguments
    ---------
    folder
        Replaced if it was generated with other arguments; refused if it holds anything else.
    speakers
        How many of the layout's, >= 2, or their names.
    emotions
        Labels of the layout; of ``"generated"``: anger, boredom, disgust, fear, happiness, sadness, neutral.
    utterances_per_speaker_and_emotion
        >= 1, each of 1 to 2.5 s; fewer if the corpus itself has fewer, such as RAVDESS's neutral.
    layout
        Names of the files, so that a corpus's own preparer can read them: ``"generated"``
        (wav/speaker_emotion_number), ``"emodb"``, ``"ravdess"``, ``"crema-d"`` or ``"iemocap"``. Sexes are those of the
        real speakers; voices and sentences are not.

    ValueError if an argument is out of range or ``folder`` holds something that was not generated.

    Example
    -------
    >>> import tempfile
    >>> made = generate_corpus(Path(tempfile.mkdtemp()) / "corpus", 2, ("fear",), 1, layout="emodb", progress=False)
    >>> sorted(path.name for path in (made / "wav").iterdir())
    ['03a01Aa.wav', '08a01Aa.wav']
    """
    folder, emotions, count = Path(folder), tuple(emotions), utterances_per_speaker_and_emotion
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got '{layout}'.")
    of = LAYOUTS[layout]
    names = list(of.speakers)[:speakers] if isinstance(speakers, int) else [str(name) for name in speakers]
    if len(names) < 2 or (isinstance(speakers, int) and speakers > len(of.speakers)):
        raise ValueError(f"speakers must be 2 to {len(of.speakers)} in the layout '{layout}', got {speakers}.")
    for option, given, known in (("speakers", names, of.speakers), ("emotions", emotions, of.labels)):
        if not given or len(set(given)) < len(given) or set(given) - set(known):
            raise ValueError(f"{option} must be of {', '.join(known)}, each once, in '{layout}'; got {list(given)}.")
    if not 1 <= count <= of.most:
        raise ValueError(f"utterances_per_speaker_and_emotion must be 1 to {of.most} in '{layout}', got {count}.")
    planned = [spoken for one in product(names, emotions, range(count)) if (spoken := of.spoken(*one)) is not None]
    about = {
        "made_by": f"akd_toolkit generated corpus, version {VERSION}",
        "speakers": speakers if isinstance(speakers, int) else names,
        "emotions": list(emotions),
        "utterances_per_speaker_and_emotion": count,
        "seed": seed,
        "layout": layout,
        "files": len(planned),
    }
    try:
        same = json.loads((folder / GENERATED).read_text(encoding="utf-8")) == about
    except (OSError, ValueError):
        same = False
    if same and sum(1 for _ in folder.rglob("*.wav")) == about["files"]:
        logger.info("reused the generated corpus in %s.", folder)
        return folder
    if folder.exists() and not (folder / GENERATED).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds files that were not generated here; give an empty or new folder.")
    aside = folder.with_name(
        f".{folder.name}.part"
    )  # always the same, so that the next run removes that of a killed one
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _write_files(aside, planned, of, seed, progress)
        write_text_aside(aside / GENERATED, json.dumps(about, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    logger.info("generated %d utterances of synthetic speech in %s.", len(planned), folder)
    return folder


@CORPORA.register("generated")
def prepare_generated(
    save_folder,
    label_order: Sequence[str] = DEFAULT_EMOTIONS,
    speakers: int = 8,
    utterances_per_speaker_and_emotion: int = 8,
    seed: int = 0,
    attributes: bool = False,
    progress: bool = True,
) -> Manifest:
    """Generated corpus: a source-filter voice acts emotions; needs no download.

    Speakers are named f01, m01, f02, m02, ... Arguments are those of ``generate_corpus``; with ``attributes`` rows also
    have valence, arousal and dominance of the acted voice, from 1 to 5 (``attributes_of``). The sound goes to
    ``save_folder/generated``, the manifest to ``save_folder/manifest.csv``.
    """
    per_cell = utterances_per_speaker_and_emotion
    options = {"speakers": speakers, "utterances_per_speaker_and_emotion": per_cell, "seed": seed}
    folder, emotions = Path(save_folder) / "generated", tuple(sorted(label_order))
    made = generate_corpus(folder, emotions=emotions, progress=progress, **options)
    files = find_sounds(made / "wav")

    def build() -> Manifest:
        layout, rows = LAYOUTS["generated"], []
        cast = _cast(layout, seed)
        for path in files:
            speaker, emotion, number = path.stem.split("_")
            spoken = layout.spoken(speaker, emotion, int(number))
            known = {"attributes": _attributes(cast[speaker], layout, spoken, seed)} if attributes else {}
            sex = layout.speakers[speaker]
            rows.append(unmeasured(path, speaker, emotion, sex=sex, text=f"s{spoken.text:02d}", **known))
        return Manifest("generated", tuple(label_order), tuple(measure(rows, "generated", progress)))

    arguments = {"preparer": "generated", "version": VERSION, "label_order": list(label_order), **options}
    arguments |= {"attributes": True} if attributes else {}
    return prepare_once(save_folder, arguments, files, build)


def _write_files(folder: Path, planned: list[Spoken], layout: Layout, seed: int, progress: bool) -> None:
    texts = range(1 + max(spoken.text for spoken in planned))
    sentences = [random_sentence(np.random.default_rng([seed, 0, text])) for text in texts]
    cast, done = _cast(layout, seed), []
    for spoken in tqdm(planned, desc="generating speech", unit="file", disable=not progress):
        speaker, random = cast[spoken.speaker], _random(seed, layout, spoken)
        speech = speak(sentences[spoken.text], speaker.settings(layout.labels[spoken.label], random), random)
        speech = np.pad(speech, SAMPLE_RATE_HZ // 20)  # 50 ms of background noise before and after
        waveform = speech + 10 ** (speaker.noise_db / 20) * random.standard_normal(len(speech))
        path = folder / spoken.path
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="PCM_16")
        attributes = _attributes(speaker, layout, spoken, seed) if layout.extra else None
        done.append(replace(spoken, duration_s=len(waveform) / SAMPLE_RATE_HZ, attributes=attributes))
    if layout.extra is not None:
        layout.extra(folder, done)


def _cast(layout: Layout, seed: int) -> dict[str, Speaker]:
    people = enumerate(layout.speakers.items())
    return {name: random_speaker(name, sex, np.random.default_rng([seed, 1, i])) for i, (name, sex) in people}


def _random(seed: int, layout: Layout, spoken: Spoken) -> np.random.Generator:
    """Different for labels that are acted alike, such as RAVDESS's happy and surprised."""
    acting = layout.labels[spoken.label]
    alike = [label for label, other in layout.labels.items() if other == acting]
    emotion = list(ACTINGS).index(acting) + len(ACTINGS) * alike.index(spoken.label)
    speaker = list(layout.speakers).index(spoken.speaker)
    return np.random.default_rng([seed, 2, speaker, emotion, spoken.number])


def _attributes(speaker: Speaker, layout: Layout, spoken: Spoken, seed: int) -> dict[str, float]:
    """Those of the acting that was drawn when the sound was generated."""
    return attributes_of(speaker.acting(layout.labels[spoken.label], _random(seed, layout, spoken)))
