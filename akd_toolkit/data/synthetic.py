"""A corpus made by the toolkit: generated voices that act emotions, for demonstrations, debugging and tests.

It needs no download and shows that a run works; its scores say nothing about human speech.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from akd_toolkit.data.acting import ACTINGS, Speaker, attributes_of, random_speaker
from akd_toolkit.data.audio import SAMPLE_RATE_HZ
from akd_toolkit.data.files import write_text_aside
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.preparing import find_audio, measure, prepare_once
from akd_toolkit.data.voice import random_sentence, speak
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

VERSION = 1  # raise it when the sound changes, so that corpora on disk are made anew
ABOUT = "generated.json"  # written last: a folder that has it is complete
DEFAULT_EMOTIONS = ("anger", "happiness", "sadness", "neutral")
EMODB_SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
EMODB_WOMEN = ("08", "09", "13", "14", "16")
EMODB_TEXTS = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
EMODB_LETTERS = {
    "anger": "W",
    "boredom": "L",
    "disgust": "E",
    "fear": "A",
    "happiness": "F",
    "sadness": "T",
    "neutral": "N",
}


def generate_corpus(
    folder,
    speakers: int = 8,
    emotions: Sequence[str] = DEFAULT_EMOTIONS,
    utterances_per_speaker_and_emotion: int = 8,
    seed: int = 0,
    layout: str = "generated",
    progress: bool = True,
) -> Path:
    """Write a generated corpus as 16 kHz WAV files in ``folder/wav``, or reuse the one that is there.

    The same arguments give the same samples. Every speaker says the same sentences in every emotion, so the words
    give nothing away. The folder appears only when it is complete.

    Arguments
    ---------
    folder
        Made anew if it was generated with other arguments; refused if it holds anything else.
    speakers
        How many, >= 2; half of them women.
    emotions
        Any of anger, boredom, disgust, fear, happiness, sadness, neutral.
    utterances_per_speaker_and_emotion
        >= 1, each of 1 to 2.5 s.
    layout
        ``"generated"`` names files speaker_emotion_number, ``"emodb"`` as EmoDB does (at most 10 speakers), so that
        EmoDB's own preparer can read them.

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
    about = {
        "made_by": f"akd_toolkit generated corpus, version {VERSION}",
        "speakers": speakers,
        "emotions": list(emotions),
        "utterances_per_speaker_and_emotion": utterances_per_speaker_and_emotion,
        "seed": seed,
        "layout": layout,
        "files": speakers * len(emotions) * utterances_per_speaker_and_emotion,
    }
    if _is_complete(folder, about):
        logger.info("reused the generated corpus in %s.", folder)
        return folder
    _refuse_foreign(folder)
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "wav").mkdir(parents=True)
    try:
        _write_files(aside / "wav", about, progress)
        write_text_aside(aside / ABOUT, json.dumps(about, indent=2) + "\n")
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
    files = find_audio(folder / "wav", "the generated corpus")

    def build() -> Manifest:
        rows = [_row(path) for path in files]
        if attributes:
            cast = _speakers(speakers, "generated", seed)
            place = {speaker.name: index for index, speaker in enumerate(cast)}
            acted = [_attributes(row, place[row.speaker], cast[place[row.speaker]], seed) for row in rows]
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
    if layout == "emodb":
        return list(EMODB_SPEAKERS[:speakers])
    return [f"{'fm'[index % 2]}{index // 2 + 1:02d}" for index in range(speakers)]


def _check(speakers: int, emotions: tuple[str, ...], utterances: int, layout: str) -> None:
    if layout not in ("generated", "emodb"):
        raise ValueError(f"layout must be 'generated' or 'emodb', got '{layout}'.")
    most = len(EMODB_SPEAKERS) if layout == "emodb" else 99
    if not 2 <= speakers <= most:
        raise ValueError(f"speakers must be 2 to {most} in the layout '{layout}', got {speakers}.")
    unknown = [emotion for emotion in emotions if emotion not in ACTINGS]
    if unknown or not emotions or len(set(emotions)) < len(emotions):
        raise ValueError(f"emotions must be some of {', '.join(ACTINGS)}, each once, got {list(emotions)}.")
    if not 1 <= utterances <= 99:
        raise ValueError(f"utterances_per_speaker_and_emotion must be 1 to 99, got {utterances}.")


def _is_complete(folder: Path, about: dict) -> bool:
    try:
        same = json.loads((folder / ABOUT).read_text(encoding="utf-8")) == about
    except (OSError, ValueError):
        return False
    return same and sum(1 for _ in (folder / "wav").glob("*.wav")) == about["files"]


def _refuse_foreign(folder: Path) -> None:
    """Nothing is deleted that was not generated here."""
    foreign = folder.exists() and not (folder / ABOUT).is_file()
    if foreign and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} holds files that were not generated here; give an empty or new folder.")


def _write_files(folder: Path, about: dict, progress: bool) -> None:
    seed, layout = about["seed"], about["layout"]
    num_texts = len(EMODB_TEXTS)
    sentences = [random_sentence(np.random.default_rng([seed, 0, text])) for text in range(num_texts)]
    with tqdm(total=about["files"], desc="generating speech", unit="file", disable=not progress) as bar:
        for index, speaker in enumerate(_speakers(about["speakers"], layout, seed)):
            for emotion in about["emotions"]:
                for number in range(about["utterances_per_speaker_and_emotion"]):
                    random = _random(seed, index, emotion, number)
                    waveform = _utterance(speaker, emotion, sentences[number % num_texts], random)
                    name = _file_name(speaker.name, emotion, number, layout)
                    soundfile.write(folder / name, waveform, SAMPLE_RATE_HZ, subtype="PCM_16")
                    bar.update()


def _speakers(count: int, layout: str, seed: int) -> list[Speaker]:
    speakers = []
    for index, name in enumerate(speaker_names(count, layout)):
        female = name in EMODB_WOMEN or name.startswith("f")
        random = np.random.default_rng([seed, 1, index])
        speakers.append(random_speaker(name, "female" if female else "male", random))
    return speakers


def _random(seed: int, speaker: int, emotion: str, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, 2, speaker, list(ACTINGS).index(emotion), number])


def _attributes(row: Utterance, index: int, speaker: Speaker, seed: int) -> dict[str, float]:
    """What the utterance was acted with, drawn as it was when its sound was made."""
    number = int(row.id.rsplit("_", 1)[1])
    return attributes_of(speaker.acting(row.emotion, _random(seed, index, row.emotion, number)))


def _utterance(speaker: Speaker, emotion: str, sentence, random: np.random.Generator) -> np.ndarray:
    speech = speak(sentence, speaker.settings(emotion, random), random)
    speech = np.pad(speech, SAMPLE_RATE_HZ // 20)  # 50 ms of room before and after
    return speech + 10 ** (speaker.noise_db / 20) * random.standard_normal(len(speech))


def _file_name(speaker: str, emotion: str, number: int, layout: str) -> str:
    if layout == "emodb":
        version = chr(ord("a") + number // len(EMODB_TEXTS))
        return f"{speaker}{EMODB_TEXTS[number % len(EMODB_TEXTS)]}{EMODB_LETTERS[emotion]}{version}.wav"
    return f"{speaker}_{emotion}_{number:02d}.wav"


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
        text=f"s{int(number) % len(EMODB_TEXTS):02d}",
    )
