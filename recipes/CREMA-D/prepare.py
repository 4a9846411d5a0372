"""Manifest of CREMA-D, the crowd-sourced emotional multimodal actors dataset: its sound.

Ninety-one actors (43 women, 48 men, 20 to 74 years old) speak twelve English sentences in six emotions, one of the
sentences in three intensities: 7442 clips of 16 kHz, 5.3 hours. Names are AAAA_TTT_EEE_LL, for example 1001_DFA_ANG_XX:
actor, sentence, emotion, intensity. Labels are the emotions that were acted; of the listeners' judgements of the voice
alone, 40 % name the acted one.

Source: Cao, Cooper, Keutmann, Gur, Nenkova & Verma 2014, "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
IEEE Transactions on Affective Computing 5(4), doi 10.1109/TAFFC.2014.2336244.
"""

import csv
import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.names import some
from akd_toolkit.data.preparing import (
    check_labels,
    find_videos,
    measure,
    name_differences,
    prepare_once,
    read_checksums,
    refuse_or_warn,
    same_sounds,
    unmeasured,
    with_videos,
)
from akd_toolkit.data.sounds import find_corpus
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

CHECKSUMS = Path(__file__).with_name("crema_d.sha256")
DEMOGRAPHICS = "VideoDemographics.csv"
NAME = re.compile(r"(?P<actor>\d{4})_(?P<text>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>[A-Z]{2})")
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LABELS = tuple(EMOTIONS.values())
TEXTS = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
LEVELS = ("LO", "MD", "HI", "XX")
ACTORS = tuple(str(number) for number in range(1001, 1092))
SILENT = "1076_MTI_SAD_XX"  # its authors say that it holds no sound
IDENTICAL = (  # the same bytes under two emotions in the official list of checksums
    ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"),
    ("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
    ("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
)
MISNAMED = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}  # in copies made before October 2022
LFS_POINTER = b"version https://git-lfs"


@CORPORA.register("crema_d")
def prepare_crema_d(
    data_folder: str,
    save_folder: str,
    label_order: Sequence[str] = LABELS,
    expect_official: bool = True,
    drop_identical: bool = False,
    video_folder: str | None = None,
) -> Manifest:
    """CREMA-D: 7442 clips, 91 actors, 6 classes, English, acted; the one clip without sound is left out.

    Known peculiarities of the official files are logged: that clip, and three pairs of clips that are the same
    although their labels differ.

    Arguments
    ---------
    data_folder
        Holds the folder ``AudioWAV``, or its files, and ``VideoDemographics.csv``, which says who is a woman and who is
        a man; without it, ``sex`` stays empty.
    save_folder
        Where manifest.csv and manifest.json go.
    label_order
        The six labels in the order of the logits.
    expect_official
        Refuse a folder that differs from the 7442 official files in names, counts or bytes; False logs what differs
        and goes on.
    drop_identical
        Leave out all clips whose sound is there under another name too: in the official files six, in pairs with two
        labels each. Most published work keeps them.
    video_folder
        Holds the videos, such as the corpus's folder ``VideoFlash``, for teachers that see faces.

    Raises
    ------
    FileNotFoundError
        If ``data_folder`` is not a folder.
    ValueError
        If it is empty, a name or label is unknown, a file is bad, or the corpus is not the official one.
    """
    check_labels(label_order, LABELS, "CREMA-D")
    folder = Path(data_folder)
    folder = folder / "AudioWAV" if (folder / "AudioWAV").is_dir() else folder
    folder, files = find_corpus(folder, "CREMA-D's folder AudioWAV, such as 1001_DFA_ANG_XX.wav", NAME.pattern)
    demographics = [path for path in (folder.parent / DEMOGRAPHICS, folder / DEMOGRAPHICS) if path.is_file()][:1]
    videos = find_videos(video_folder, "CREMA-D")
    arguments = {
        "preparer": "crema_d",
        "data_folder": str(folder.resolve()),
        "label_order": list(label_order),
        "expect_official": expect_official,
        "drop_identical": drop_identical,
        "video_folder": video_folder and str(Path(video_folder).resolve()),
    }

    def build() -> Manifest:
        speaking = [path for path in files if path.stem != SILENT]
        if len(speaking) < len(files):
            logger.info("CREMA-D: %s holds no sound and is left out.", SILENT)
        rows = _rows(speaking, _sexes(demographics, folder))
        compared = f"{folder} differs from the official CREMA-D (7442 files)"
        refuse_or_warn(_count_differences(rows), compared, expect_official)
        refuse_or_warn(_byte_differences(rows), compared, expect_official)
        rows = measure(rows, "CREMA-D")
        same = {row for pair in same_sounds(rows, IDENTICAL, "CREMA-D") for row in pair}
        if drop_identical:
            rows = [row for row in rows if row not in same]
        rows = with_videos(rows, videos, "CREMA-D")
        return Manifest("CREMA-D", tuple(label_order), tuple(rows))

    return prepare_once(save_folder, arguments, [*files, *demographics, *videos.values()], build)


def official_checksums() -> dict[str, str]:
    """Stem -> first 16 hex digits of the SHA-256 of the file, for the 7442 official files."""
    return read_checksums(CHECKSUMS)


def _sexes(demographics: list[Path], folder: Path) -> dict[str, str]:
    """Actor -> female or male, of those that the table of demographics lists."""
    if not demographics:
        logger.warning("CREMA-D: %s is not beside %s, so all sexes are unknown; copy it there.", DEMOGRAPHICS, folder)
        return {}
    with demographics[0].open(encoding="utf-8-sig", errors="replace", newline="") as file:
        table = csv.DictReader(file)
        if not {"ActorID", "Sex"} <= set(table.fieldnames or ()):
            raise ValueError(
                f"{demographics[0]} has the columns {table.fieldnames}; ActorID and Sex are needed. Copy it again."
            )
        sexes = {row["ActorID"]: (row["Sex"] or "").lower() for row in table}
    unknown = [actor for actor in ACTORS if sexes.get(actor) not in ("female", "male")]
    if unknown:
        logger.warning("CREMA-D: %s does not say the sex of %s.", demographics[0], some(unknown))
    return {actor: sex for actor, sex in sexes.items() if sex in ("female", "male")}


def _rows(files: list[Path], sexes: dict[str, str]) -> list[Utterance]:
    problems = [problem for problem in map(_name_problem, files) if problem]
    raise_problems(problems, f"{len(problems)} of {len(files)} files of CREMA-D")
    return [_row(path, sexes) for path in files]


def _row(path: Path, sexes: dict[str, str]) -> Utterance:
    actor, text, emotion, _ = path.stem.split("_")
    return unmeasured(path, actor, EMOTIONS[emotion], sex=sexes.get(actor, ""), text=text)


def _name_problem(path: Path) -> str:
    """One sentence about a name that is not CREMA-D's, or nothing."""
    if path.stem in MISNAMED:
        return f"{path.name} has the misspelled name of an old copy; rename it to {MISNAMED[path.stem]}{path.suffix}."
    name = NAME.fullmatch(path.stem)
    if name is None:
        return f"{path.name} is not named AAAA_TTT_EEE_LL, like 1001_DFA_ANG_XX; rename or remove it."
    known = {"actor": ("1001 to 1091", ACTORS), "text": (" ".join(TEXTS), TEXTS)}
    known |= {"emotion": (" ".join(EMOTIONS), EMOTIONS), "level": (" ".join(LEVELS), LEVELS)}
    for part, (listed, allowed) in known.items():
        if name[part] not in allowed:
            what = {"text": "sentence"}.get(part, part)
            return f"{path.name} has the {what} '{name[part]}'; CREMA-D has {listed}. Rename or remove it."
    return ""


def _count_differences(rows: list[Utterance]) -> list[str]:
    """What differs from the official corpus, but for its silent clip, in counts and names, largest unit first."""
    return name_differences(
        {row.id for row in rows},
        set(official_checksums()) - {SILENT},
        ("", lambda stem: EMOTIONS[stem[9:12]]),
        ("actor", lambda stem: stem[:4]),
    )


def _byte_differences(rows: list[Utterance]) -> list[str]:
    """Files that are not byte for byte the official ones."""
    official = official_checksums()
    other, pointers = [], []
    for row in tqdm(rows, desc="comparing CREMA-D with the official files", unit="file"):
        content = Path(row.wav).read_bytes()
        if content.startswith(LFS_POINTER):
            pointers.append(row.id)
        elif row.id in official and not hashlib.sha256(content).hexdigest().startswith(official[row.id]):
            other.append(row.id)
    if pointers:
        raise ValueError(
            f"{len(pointers)} of {len(rows)} files of CREMA-D are Git LFS pointers in place of sound, the first "
            f"{pointers[0]}; run `git lfs pull` in the clone, or give data_folder a copy that holds the sound."
        )
    return [f"other bytes than the official file: {some(other)}"] if other else []
