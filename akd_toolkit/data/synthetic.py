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
from tqdm import tqdm

from akd_toolkit.data.acting import ACTINGS, Speaker, attributes_of, random_speaker
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import GENERATED, write_text_aside
from akd_toolkit.data.layouts import LAYOUTS, NUM_TEXTS, Layout, Spoken
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import measure, prepare_once
from akd_toolkit.data.sounds import find_sounds
from akd_toolkit.data.voice import random_sentence, speak
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

VERSION = 1  # raise it when the sound changes, so that corpora on disk are made anew
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
    """Write a generated corpus as 16 kHz WAV files in ``folder``, or reuse the one that is there.

    The same arguments give the same samples. Every speaker says the same sentences in every emotion, so the words
    give nothing away. The folder appears only when it is complete.

    Arguments
    ---------
    folder
        Made anew if it was generated with other arguments; refused if it holds anything else.
    speakers
        How many of the layout's, >= 2, in its own order; or their names.
    emotions
        Labels of the layout; of ``"generated"``: anger, boredom, disgust, fear, happiness, sadness, neutral.
    utterances_per_speaker_and_emotion
        >= 1, each of 1 to 2.5 s; fewer where the corpus itself has fewer, such as RAVDESS's neutral.
    layout
        How files are named and where they lie, so that a corpus's own preparer can read them: ``"generated"``
        (wav/speaker_emotion_number), ``"emodb"``, ``"ravdess"``, ``"crema-d"`` or ``"iemocap"``. Sexes are those of the
        real speakers; voices and sentences are not.

    Raises
    ------
    ValueError
        If an argument is out of range or ``folder`` holds something that was not generated.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "corpus"
    >>> made = generate_corpus(folder, 2, ("fear",), 1, layout="emodb", progress=False)
    >>> sorted(path.name for path in (made / "wav").iterdir())
    ['03a01Aa.wav', '08a01Aa.wav']
    """
    folder, emotions = Path(folder), tuple(emotions)
    _check(speakers, emotions, utterances_per_speaker_and_emotion, layout)
    names = speaker_names(speakers, layout) if isinstance(speakers, int) else [str(name) for name in speakers]
    planned = _planned(names, emotions, utterances_per_speaker_and_emotion, LAYOUTS[layout])
    about = {
        "made_by": f"akd_toolkit generated corpus, version {VERSION}",
        "speakers": speakers if isinstance(speakers, int) else names,
        "emotions": list(emotions),
        "utterances_per_speaker_and_emotion": utterances_per_speaker_and_emotion,
        "seed": seed,
        "layout": layout,
        "files": len(planned),
    }
    if _is_complete(folder, about):
        logger.info("reused the generated corpus in %s.", folder)
        return folder
    _refuse_foreign(folder)
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _write_files(aside, planned, LAYOUTS[layout], seed, progress)
        write_text_aside(aside / GENERATED, json.dumps(about, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    logger.info("generated %d utterances of synthetic speech in %s.", about["files"], folder)
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

    Speakers are named f01, m01, f02, m02, ... Arguments are those of ``generate_corpus``; the sound goes to
    ``save_folder/generated``, the manifest to ``save_folder/manifest.csv``.

    Arguments
    ---------
    attributes
        Whether rows also say how valent, aroused and dominant the acted voice is, from 1 to 5 (``attributes_of``).
    """
    options = {
        "speakers": speakers,
        "utterances_per_speaker_and_emotion": utterances_per_speaker_and_emotion,
        "seed": seed,
    }
    folder = generate_corpus(
        Path(save_folder) / "generated", emotions=tuple(sorted(label_order)), progress=progress, **options
    )
    files = find_sounds(folder / "wav")

    def build() -> Manifest:
        rows = [_row(path) for path in files]
        if attributes:
            layout = LAYOUTS["generated"]
            cast = _cast(layout, seed)
            spoken = [layout.spoken(row.speaker, row.emotion, int(row.id.rsplit("_", 1)[1])) for row in rows]
            acted = [_attributes(cast[one.speaker], layout, one, seed) for one in spoken]
            rows = [replace(row, attributes=values) for row, values in zip(rows, acted)]
        return Manifest("generated", tuple(label_order), tuple(measure(rows, "generated", progress)))

    arguments = {"preparer": "generated", "version": VERSION, "label_order": list(label_order), **options}
    arguments |= {"attributes": True} if attributes else {}
    return prepare_once(save_folder, arguments, files, build)


def speaker_names(speakers: int, layout: str = "generated") -> list[str]:
    """Names of the speakers of a generated corpus, in an order that alternates women and men.

    Example
    -------
    >>> speaker_names(4), speaker_names(2, layout="emodb")
    (['f01', 'm01', 'f02', 'm02'], ['03', '08'])
    """
    return list(LAYOUTS[layout].speakers)[:speakers]


def _check(speakers, emotions: tuple[str, ...], utterances: int, name: str) -> None:
    if name not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got '{name}'.")
    layout = LAYOUTS[name]
    if isinstance(speakers, int) and not 2 <= speakers <= len(layout.speakers):
        raise ValueError(f"speakers must be 2 to {len(layout.speakers)} in the layout '{name}', got {speakers}.")
    if not isinstance(speakers, int):
        unknown = [str(speaker) for speaker in speakers if str(speaker) not in layout.speakers]
        if unknown or len(set(speakers)) < max(2, len(speakers)):
            raise ValueError(
                f"speakers must be two or more of {', '.join(layout.speakers)}, each once, in the layout '{name}'; "
                f"got {list(speakers)}."
            )
    unknown = [emotion for emotion in emotions if emotion not in layout.labels]
    if unknown or not emotions or len(set(emotions)) < len(emotions):
        raise ValueError(
            f"emotions must be some of {', '.join(layout.labels)}, each once, in the layout '{name}'; "
            f"got {list(emotions)}."
        )
    if not 1 <= utterances <= layout.most:
        raise ValueError(
            f"utterances_per_speaker_and_emotion must be 1 to {layout.most} in the layout '{name}', got {utterances}."
        )


def _planned(speakers: list[str], emotions: tuple[str, ...], utterances: int, layout: Layout) -> list[Spoken]:
    every = product(speakers, emotions, range(utterances))
    return [spoken for one in every if (spoken := layout.spoken(*one)) is not None]


def _is_complete(folder: Path, about: dict) -> bool:
    try:
        same = json.loads((folder / GENERATED).read_text(encoding="utf-8")) == about
    except (OSError, ValueError):
        return False
    return same and sum(1 for _ in folder.rglob("*.wav")) == about["files"]


def _refuse_foreign(folder: Path) -> None:
    """Nothing is deleted that was not generated here."""
    foreign = folder.exists() and not (folder / GENERATED).is_file()
    if foreign and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds files that were not generated here; give an empty or new folder.")


def _write_files(folder: Path, planned: list[Spoken], layout: Layout, seed: int, progress: bool) -> None:
    texts = range(1 + max(spoken.text for spoken in planned))
    sentences = [random_sentence(np.random.default_rng([seed, 0, text])) for text in texts]
    cast, done = _cast(layout, seed), []
    for spoken in tqdm(planned, desc="generating speech", unit="file", disable=not progress):
        speaker, acting = cast[spoken.speaker], layout.labels[spoken.label]
        waveform = _utterance(speaker, acting, sentences[spoken.text], _random(seed, layout, spoken))
        path = folder / spoken.path
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="PCM_16")
        attributes = _attributes(speaker, layout, spoken, seed) if layout.extra else {}
        done.append(replace(spoken, duration_s=len(waveform) / SAMPLE_RATE_HZ, attributes=attributes))
    if layout.extra is not None:
        layout.extra(folder, done)


def _cast(layout: Layout, seed: int) -> dict[str, Speaker]:
    people = enumerate(layout.speakers.items())
    return {name: random_speaker(name, sex, np.random.default_rng([seed, 1, i])) for i, (name, sex) in people}


def _random(seed: int, layout: Layout, spoken: Spoken) -> np.random.Generator:
    """Where two labels are acted alike, such as RAVDESS's happy and surprised, each has sounds of its own."""
    acting = layout.labels[spoken.label]
    alike = [label for label, other in layout.labels.items() if other == acting]
    emotion = list(ACTINGS).index(acting) + len(ACTINGS) * alike.index(spoken.label)
    speaker = list(layout.speakers).index(spoken.speaker)
    return np.random.default_rng([seed, 2, speaker, emotion, spoken.number])


def _attributes(speaker: Speaker, layout: Layout, spoken: Spoken, seed: int) -> dict[str, float]:
    """What the utterance was acted with, drawn as it was when its sound was made."""
    return attributes_of(speaker.acting(layout.labels[spoken.label], _random(seed, layout, spoken)))


def _utterance(speaker: Speaker, emotion: str, sentence, random: np.random.Generator) -> np.ndarray:
    speech = speak(sentence, speaker.settings(emotion, random), random)
    speech = np.pad(speech, SAMPLE_RATE_HZ // 20)  # 50 ms of room before and after
    return speech + 10 ** (speaker.noise_db / 20) * random.standard_normal(len(speech))


def _row(path: Path) -> Utterance:
    speaker, emotion, number = path.stem.split("_")
    return Utterance(
        id=path.stem,
        wav=str(path.resolve()),
        start=0,
        stop=0,
        duration=0.0,
        speaker=speaker,
        emotion=emotion,
        sex="female" if speaker.startswith("f") else "male",
        text=f"s{int(number) % NUM_TEXTS:02d}",
    )
