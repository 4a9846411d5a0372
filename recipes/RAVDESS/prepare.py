"""Manifest of RAVDESS, the Ryerson audio-visual database of emotional speech and song: its speech, as sound alone.

Twenty-four actors (twelve women, twelve men) speak two English sentences twice in eight emotions, seven of them in two
intensities: 1440 files. Names are MM-VV-EE-II-SS-RR-AA, for example 03-01-06-01-02-01-12: modality, vocal channel,
emotion, intensity, sentence, repetition, actor; odd actors are men. Source: Livingstone & Russo 2018, "The Ryerson
Audio-Visual Database of Emotional Speech and Song", PLoS ONE 13(5), doi 10.1371/journal.pone.0196391.
"""

import itertools
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from akd_toolkit.data.findings import Findings
from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.names import some
from akd_toolkit.data.preparing import (
    check_labels,
    find_videos,
    measure,
    name_differences,
    prepare_once,
    refuse_or_warn,
    same_sounds,
    trim_silence,
    unmeasured,
    with_videos,
)
from akd_toolkit.data.sounds import find_corpus
from akd_toolkit.progress import tqdm
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

SPEECH = "03-01-"  # sound alone, speech
NAME = re.compile(r"\d\d-\d\d-(?P<emotion>\d\d)-\d\d-(?P<text>\d\d)-\d\d-(?P<actor>\d\d)")
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CODES = {f"{number:02d}": label for number, label in enumerate(LABELS, start=1)}
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))
IDENTICAL = ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")  # the same bytes in the original distribution
STEREO = (  # two channels in the original distribution, where all others have one
    *("03-01-02-01-01-02-01", "03-01-08-01-02-02-01", "03-01-02-01-02-02-05"),
    *("03-01-03-01-02-01-20", "03-01-06-01-01-02-20"),
)


@CORPORA.register("ravdess")
def prepare_ravdess(
    data_folder: str,
    save_folder: str,
    label_order: Sequence[str] = LABELS,
    expect_official: bool = True,
    trim: bool = True,
    drop_identical: bool = False,
    video_folder: str | None = None,
) -> Manifest:
    """RAVDESS speech: 1440 files, 24 actors, 8 classes, English, acted.

    Known peculiarities of the official files are logged: two recordings of actor 07 that are the same, five in
    stereo (channels are averaged), some that are very quiet.

    Arguments
    ---------
    data_folder
        Holds the files, in ``Actor_01`` ... ``Actor_24`` or in any other folders. Song and video are left out.
    save_folder
        Where manifest.csv and manifest.json go.
    label_order
        The eight classes in the order of the logits.
    expect_official
        Refuse a folder that differs from the 1440 official files in names or counts; False logs what differs.
    trim
        Leave out the silence before and after the speech, on average 45 % of a file; see ``trim_silence``.
    drop_identical
        Leave out a recording whose sound was there before, one of the 1440; most published work keeps it.
    video_folder
        Holds the videos, 01-01-... with sound or 02-01-... without, in any folders, for teachers that see faces.

    Raises
    ------
    FileNotFoundError
        If ``data_folder`` is not a folder.
    ValueError
        If it is empty, a name or label is unknown, a file is bad, or the corpus is not the official one.
    """
    check_labels(label_order, LABELS, "RAVDESS")
    folder, files = find_corpus(data_folder, "RAVDESS's files, such as 03-01-06-01-02-01-12.wav", NAME.pattern)
    files, others = _speech(files)
    videos = find_videos(video_folder, "RAVDESS", first=3)  # names begin with the modality
    arguments = {
        "preparer": "ravdess",
        "data_folder": str(folder.resolve()),
        "label_order": list(label_order),
        "expect_official": expect_official,
        "trim": trim,
        "drop_identical": drop_identical,
        "video_folder": video_folder and str(Path(video_folder).resolve()),
    }

    def build() -> Manifest:
        if others:
            names = some([path.stem for path in others])
            logger.info("RAVDESS: %d files of song or with pictures are left out: %s.", len(others), names)
        rows = _rows(files)
        compared = f"{folder} differs from the official RAVDESS speech (1440 files)"
        refuse_or_warn(_differences(rows), compared, expect_official)
        findings = Findings()
        rows = measure(rows, "RAVDESS", look=findings.look)
        _log_oddities(findings)
        again = {row for _, row in same_sounds(rows, [IDENTICAL], "RAVDESS")}
        if drop_identical:
            rows = [row for row in rows if row not in again]
        rows = with_videos(rows, videos, "RAVDESS", first=3)
        if trim:
            rows = [trim_silence(row) for row in tqdm(rows, desc="trimming RAVDESS", unit="file")]
        return Manifest("RAVDESS", tuple(label_order), tuple(rows))

    return prepare_once(save_folder, arguments, [*files, *videos.values()], build)


def _log_oddities(findings: Findings) -> None:
    if findings.stereo:
        logger.info("RAVDESS: %d files are stereo; their channels are averaged.", len(findings.stereo))
    odd = sorted(set(findings.stereo) - set(STEREO))
    if odd:
        logger.warning("RAVDESS: %s should be mono and are stereo.", some(odd))
    if findings.quiet:
        logger.info("RAVDESS: %d files are very quiet: %s.", len(findings.quiet), some(findings.quiet))


def _speech(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Speech as sound alone, actor by actor however the files lie, and files of song or with pictures."""
    other = [path for path in files if NAME.fullmatch(path.stem) and not path.stem.startswith(SPEECH)]
    return sorted(set(files) - set(other), key=lambda path: (path.stem[-2:], path.stem)), other


def _rows(files: list[Path]) -> list[Utterance]:
    rows, problems = [], []
    for path in files:
        name = NAME.fullmatch(path.stem)
        if name is None:
            problems.append(
                f"{path.name} is not named MM-VV-EE-II-SS-RR-AA, like 03-01-06-01-02-01-12; rename or remove it."
            )
        elif name["emotion"] not in CODES or name["actor"] not in ACTORS:
            problems.append(
                f"{path.name} has the emotion '{name['emotion']}' of actor '{name['actor']}'; RAVDESS has emotions "
                "01 to 08 and actors 01 to 24. Rename or remove it."
            )
        else:
            sex = "male" if int(name["actor"]) % 2 else "female"
            rows.append(unmeasured(path, name["actor"], CODES[name["emotion"]], sex=sex, text=name["text"]))
    raise_problems(problems, f"{len(problems)} of {len(files)} files of RAVDESS")
    return rows


def official_names() -> list[str]:
    """The 1440 stems: every actor, sentence and repetition in eight emotions; neutral has but one intensity."""
    kinds = [(code, intensity) for code in CODES for intensity in ("01", "02") if (code, intensity) != ("01", "02")]
    takes = itertools.product(kinds, ("01", "02"), ("01", "02"), ACTORS)
    return ["-".join(("03", "01", *kind, text, repetition, actor)) for kind, text, repetition, actor in takes]


def _differences(rows: list[Utterance]) -> list[str]:
    """What differs from the official files in numbers and names, largest unit first."""
    return name_differences(
        [row.id for row in rows],
        official_names(),
        ("", lambda stem: CODES[stem[6:8]]),
        ("actor", lambda stem: stem[-2:]),
    )
