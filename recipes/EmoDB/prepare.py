"""Manifest of EmoDB, the Berlin database of emotional speech.

Ten actors (five women, five men) speak ten German sentences in seven emotions: 535 files of 16 kHz, 25 minutes. Names
are SSTTTEV, for example 03a01Fa: speaker 03, sentence a01, emotion F (Freude, happiness), version a. These are the
recordings that at least 80 % of twenty listeners recognised; version 2.0 holds all 816.

Source: Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss 2005, "A database of German emotional speech", Interspeech.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.names import some
from akd_toolkit.data.preparing import (
    check_labels,
    fetch_zip,
    measure,
    name_differences,
    prepare_once,
    read_checksums,
    refuse_or_warn,
    unmeasured,
)
from akd_toolkit.data.sounds import find_corpus
from akd_toolkit.registry import CORPORA

URL = "http://emodb.bilderbar.info/download/download.zip"
CHECKSUMS = Path(__file__).with_name("emodb.sha256")
NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<letter>[A-Z])(?P<version>[a-z])")
EMOTIONS = {  # letter of the German word -> label
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
LABELS = tuple(EMOTIONS.values())
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
SEX = dict.fromkeys(("03", "10", "11", "12", "15"), "male") | dict.fromkeys(("08", "09", "13", "14", "16"), "female")
NUM_FILES_2_0 = 816


@CORPORA.register("emodb")
def prepare_emodb(
    data_folder: str | None,
    save_folder: str,
    label_order: Sequence[str] = LABELS,
    expect_official: bool = True,
    download: bool = True,
    url: str = URL,
) -> Manifest:
    """EmoDB: 535 files, 10 speakers, 7 emotions, German, acted.

    Arguments
    ---------
    data_folder
        Holds the files, directly or at any depth; null fetches the public archive.
    save_folder
        Where manifest.csv and manifest.json go, and the archive where it is fetched.
    label_order
        The seven labels in the order of the logits.
    expect_official
        Refuse a folder that differs from the 535 official files in names, counts or sound; False logs what differs
        and goes on.
    download
        False forbids the network: then ``data_folder`` must be given.
    url
        Where the archive is fetched from.

    Raises
    ------
    FileNotFoundError
        If ``data_folder`` is not a folder.
    ValueError
        If it is empty, a name or label is unknown, a file is bad, or the corpus is not the official one.
    ConnectionError
        If the archive cannot be fetched.
    """
    check_labels(label_order, LABELS, "EmoDB")
    if not data_folder:
        data_folder = _download(Path(save_folder) / "download", download, url)
    folder, files = find_corpus(data_folder, "EmoDB's files, such as 03a01Fa.wav", NAME.pattern)
    arguments = {
        "preparer": "emodb",
        "data_folder": str(folder.resolve()),
        "label_order": list(label_order),
        "expect_official": expect_official,
        "transcripts": True,
    }

    def build() -> Manifest:
        rows = _rows(files)
        refuse_or_warn(_count_differences(rows), _compared(folder, len(rows)), expect_official)
        rows = measure(rows, "EmoDB")
        refuse_or_warn(_sound_differences(rows), _compared(folder, len(rows)), expect_official)
        return Manifest("EmoDB", tuple(label_order), tuple(rows))

    return prepare_once(save_folder, arguments, files, build)


def official_checksums() -> dict[str, str]:
    """Stem -> SHA-256 of the samples, for the 535 official files."""
    return read_checksums(CHECKSUMS)


def _download(folder: Path, allowed: bool, url: str) -> Path:
    if not allowed:
        raise ValueError(
            "no data_folder was given and download is False; give the folder that holds EmoDB, or set download: True."
        )
    return fetch_zip(url, folder)


def _rows(files: list[Path]) -> list[Utterance]:
    rows, problems = [], []
    for path in files:
        name = NAME.fullmatch(path.stem)
        if name is None:
            problems.append(f"{path.name} is not named SSTTTEV as in 03a01Fa; rename or remove it.")
        elif name["letter"] not in EMOTIONS:
            problems.append(
                f"{path.name} has the emotion letter '{name['letter']}'; EmoDB has {' '.join(EMOTIONS)}. "
                "Rename or remove it."
            )
        else:
            speaker, emotion = name["speaker"], EMOTIONS[name["letter"]]
            known = {"sex": SEX.get(speaker, ""), "text": name["text"], "transcript": SENTENCES.get(name["text"], "")}
            rows.append(unmeasured(path, speaker, emotion, **known))
    raise_problems(problems, f"{len(problems)} of {len(files)} files of EmoDB")
    return rows


def _count_differences(rows: list[Utterance]) -> list[str]:
    """What differs from the official corpus in numbers and names, largest unit first."""
    return name_differences(
        [row.id for row in rows],
        official_checksums(),
        ("", lambda stem: EMOTIONS[stem[5]]),
        ("speaker", lambda stem: stem[:2]),
        ("speaker", lambda stem: f"{stem[:2]} {EMOTIONS[stem[5]]}"),
    )


def _sound_differences(rows: list[Utterance]) -> list[str]:
    official = official_checksums()
    other = [row.id for row in rows if row.id in official and row.sha256 != official[row.id]]
    return [f"other sound than the official file: {some(other)}"] if other else []


def _compared(folder: Path, num_files: int) -> str:
    if num_files == NUM_FILES_2_0:
        return (
            f"{folder} holds {NUM_FILES_2_0} files: this is EmoDB 2.0, every rated recording, and not the 535 that the "
            "protocol is defined on"
        )
    return f"{folder} differs from the official EmoDB (535 files)"
