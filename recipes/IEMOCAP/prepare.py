"""Manifest of IEMOCAP, the interactive emotional dyadic motion capture database: one row a turn of a dialogue.

Ten actors, a woman and a man in each of five sessions, play scripts and improvise in English: 10039 turns, 12 hours.
Three or more listeners judged each; the turns on which a majority agreed that they are angry, happy or excited, sad or
neutral are the 5531 of the usual protocol.

    SessionN/dialog/EmoEvaluation/<dialogue>.txt     [start - end]  turn  emotion  [valence, activation, dominance]
    SessionN/dialog/transcriptions/<dialogue>.txt    turn [start-end]: words
    SessionN/sentences/wav/<dialogue>/<turn>.wav

A turn is named after its dialogue, then who speaks: in ``Ses01F_impro01_M003`` the woman of session 1 wears the markers
and the **man** speaks. Source: Busso et al. 2008, "IEMOCAP: interactive emotional dyadic motion capture database",
Language Resources and Evaluation 42(4), doi 10.1007/s10579-008-9076-6.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from akd_toolkit.data.manifest import Manifest, Utterance, raise_problems
from akd_toolkit.data.names import some
from akd_toolkit.data.preparing import count_differences, measure, prepare_once, refuse_or_warn, unmeasured
from akd_toolkit.data.sounds import find_corpus
from akd_toolkit.registry import CORPORA

logger = logging.getLogger(__name__)

LABELS = ("ang", "hap", "sad", "neu")
EXCITED = "exc"
OFFICIAL = {  # category -> turns of sessions 1 to 5
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "sad": (194, 197, 305, 143, 245),
    "neu": (384, 362, 320, 258, 384),
}
OTHER = ("fru", "fea", "sur", "dis", "oth", "xxx")  # in no class; xxx: listeners did not agree
KINDS = {"impro": "improvised", "script": "scripted"}
ATTRIBUTES = ("valence", "arousal", "dominance")
SEX = {"F": "female", "M": "male"}
LAYOUT = "IEMOCAP's folders Session1 to Session5"
WAV = r"Session[1-5]/sentences/wav/[^/]+/[^/]+"

TURN = re.compile(r"Ses0(?P<session>[1-5])[FM]_(?P<kind>impro|script)\w+_(?P<sex>[FM])\d+")
LABELLED = re.compile(r"\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(?P<turn>\S+)\s+(?P<category>\w+)\s+\[(?P<values>[^\]]*)\]")
SAID = re.compile(r"(?P<turn>Ses0\w+)\s+\[[^\]]*\]:(?P<words>.*)")
JUDGED = re.compile(r"[CA]-\w+:")  # one listener's opinion: categories or attributes


@dataclass(frozen=True)
class Turn:
    """One labelled line of an evaluation, and what its name says."""

    name: str
    session: str
    kind: str  # improvised or scripted
    sex: str  # of the last field: who speaks; the first field says who wears the markers
    category: str
    attributes: dict[str, float]


@CORPORA.register("iemocap")
def prepare_iemocap(
    data_folder: str,
    save_folder: str,
    label_order: Sequence[str] = LABELS,
    expect_official: bool = True,
    use: str = "both",
    merge_excitement: bool = True,
    attributes: bool = True,
) -> Manifest:
    """IEMOCAP: 5531 turns, 10 speakers in 5 sessions, 4 classes, English, acted and improvised.

    Arguments
    ---------
    data_folder
        Holds ``Session1`` ... ``Session5``, directly or in a folder below, such as ``IEMOCAP_full_release``.
    save_folder
        Where manifest.csv and manifest.json go.
    label_order
        The four classes in the order of the logits; with ``merge_excitement`` False also exc, as a separate class.
    expect_official
        Refuse a folder whose labels differ from the official counts by class and session; False logs what differs.
    use
        ``"improvised"`` (2943 turns), ``"scripted"`` (2588) or ``"both"``. All actors play the same scripts.
    merge_excitement
        Excited turns count as happy, as in nearly all published work; if False they are left out, or a class.
    attributes
        Whether rows carry valence, arousal (the corpus calls it activation) and dominance, from about 1 to 5: the mean
        over the listeners.

    Raises
    ------
    FileNotFoundError
        If ``data_folder`` is not a folder, or a session has no labels.
    ValueError
        If it is empty, a line cannot be read, a turn has no recording or a bad one, or the counts are not the official
        ones.
    """
    _check_options(label_order, use, merge_excitement)
    folder, audio = find_corpus(Path(data_folder).absolute(), LAYOUT, WAV)
    audio = [path for path in audio if TURN.fullmatch(path.stem)]
    evaluations, transcripts = _texts(folder, "EmoEvaluation"), _texts(folder, "transcriptions", needed=False)
    arguments = {
        "preparer": "iemocap",
        "data_folder": str(folder),
        "label_order": list(label_order),
        "expect_official": expect_official,
        "use": use,
        "merge_excitement": merge_excitement,
        "attributes": attributes,
        "transcripts": True,
    }

    def build() -> Manifest:
        turns = _turns(evaluations)
        compared = f"{folder} differs from the official IEMOCAP (5531 turns of these classes)"
        refuse_or_warn(_differences(turns), compared, expect_official)
        chosen = _chosen(turns, label_order, use, merge_excitement)
        rows = _rows(chosen, {path.stem: path for path in audio}, _words(transcripts), attributes)
        rows = measure(rows, "IEMOCAP")
        return Manifest("IEMOCAP", tuple(label_order), tuple(rows))

    return prepare_once(save_folder, arguments, [*evaluations, *transcripts, *audio], build)


def _check_options(label_order, use, merge_excitement) -> None:
    allowed = [sorted(LABELS)] if merge_excitement else [sorted(LABELS), sorted((*LABELS, EXCITED))]
    if sorted(label_order) not in allowed:
        raise ValueError(
            f"label_order is {list(label_order)}; IEMOCAP has exactly {', '.join(LABELS)}, and {EXCITED} with "
            "merge_excitement: False if you like. Name each once, in any order."
        )
    if use not in (*KINDS.values(), "both"):
        raise ValueError(f"use must be improvised, scripted or both, got '{use}'.")


def _texts(folder: Path, kind: str, needed: bool = True) -> list[Path]:
    """One file a dialogue, of all sessions that are there; macOS leaves ``._name.txt`` beside them."""
    found = []
    for session in sorted(folder.glob("Session[1-5]")):
        texts = [path for path in (session / "dialog" / kind).glob("*.txt") if not path.name.startswith(".")]
        if needed and not texts:
            raise FileNotFoundError(
                f"{session / 'dialog' / kind} holds no .txt file; it must hold the labels, one file a dialogue. "
                "Give the whole corpus as it was released."
            )
        found += sorted(texts)
    return found


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]


def _turns(evaluations: list[Path]) -> list[Turn]:
    """Every labelled turn; listeners' single opinions and the heading are passed over."""
    turns, problems, strange = [], [], []
    for path in evaluations:
        for number, line in enumerate(_lines(path), start=1):
            if line.startswith("["):
                try:
                    turns.append(_turn(line, session=path.parents[2].name[-1]))
                except ValueError as error:
                    problems.append(f"{path}, line {number}: {error}")
            elif line and not line.startswith("%") and not JUDGED.match(line):
                strange.append(f"{path.name} line {number}")
    twice = [name for name, times in Counter(turn.name for turn in turns).items() if times > 1]
    problems += [f"turn {name} is labelled twice; keep one of its lines." for name in twice]
    raise_problems(problems, f"{len(problems)} labels of IEMOCAP")
    if strange:
        logger.warning("IEMOCAP: ignored lines of an unknown kind: %s.", some(strange))
    return turns


def _turn(line: str, session: str) -> Turn:
    found = LABELLED.fullmatch(line)
    if found is None:
        raise ValueError(f"'{line[:60]}' is not '[start - end] turn emotion [valence, activation, dominance]'.")
    name, category = found["turn"], found["category"].lower()
    parts = TURN.fullmatch(name)
    if parts is None:
        raise ValueError(f"'{name}' is not named as a turn is, like Ses01F_impro01_M003.")
    if parts["session"] != session:
        raise ValueError(f"{name} is a turn of session {parts['session']} and lies in Session{session}; move it.")
    if category not in (*OFFICIAL, *OTHER):
        raise ValueError(f"{name} has the emotion '{category}'; IEMOCAP has {' '.join((*OFFICIAL, *OTHER))}.")
    try:
        values = [float(value) for value in found["values"].split(",")]
    except ValueError:
        values = []
    if len(values) != len(ATTRIBUTES):
        raise ValueError(f"{name} has [{found['values']}] where valence, activation and dominance are needed.")
    known = {key: value for key, value in zip(ATTRIBUTES, values) if np.isfinite(value)}
    return Turn(name, session, KINDS[parts["kind"]], parts["sex"], category, known)


def _differences(turns: list[Turn]) -> list[str]:
    """What differs from the official counts, largest unit first: all, a class, a session, a class of a session."""
    found = [(turn.category, turn.session) for turn in turns if turn.category in OFFICIAL]
    expected = [
        (category, str(session))
        for category, counts in OFFICIAL.items()
        for session, count in enumerate(counts, start=1)
        for _ in range(count)
    ]
    differences = []
    for what, key in (
        ("turns", lambda cell: ""),
        ("class", lambda cell: cell[0]),
        ("session", lambda cell: cell[1]),
        ("session", lambda cell: f"{cell[1]} {cell[0]}"),
    ):
        differences += count_differences(map(key, found), map(key, expected), what)
    return differences


def _chosen(turns: list[Turn], label_order, use: str, merge_excitement: bool) -> list[tuple[Turn, str]]:
    """The turns of the protocol with their classes; what is left out is counted in the log."""
    classes = {label: label for label in label_order} | ({EXCITED: "hap"} if merge_excitement else {})
    kept = [(turn, classes[turn.category]) for turn in turns if turn.category in classes and use in (turn.kind, "both")]
    if not kept:
        raise ValueError(
            f"no turn is {' or '.join(label_order)} and {'improvised or scripted' if use == 'both' else use}; "
            f"{len(turns)} turns are labelled in all. Check the folder, or set use: both."
        )
    left = Counter(turn.category for turn in turns if turn.category not in classes)
    left.update(turn.kind for turn in turns if turn.category in classes and use not in (turn.kind, "both"))
    reasons = ", ".join(f"{count} {what}" for what, count in left.most_common())
    logger.info("IEMOCAP: kept %d of %d labelled turns; left out: %s.", len(kept), len(turns), reasons or "none")
    return kept


def _words(transcripts: list[Path]) -> dict[str, str]:
    """Turn -> what was said, as it was written down; lines of turns that were cut out have no times."""
    said = [found for path in transcripts for line in _lines(path) if (found := SAID.fullmatch(line))]
    return {found["turn"]: " ".join(found["words"].split()) for found in said}


def _rows(chosen, audio: dict[str, Path], words: dict[str, str], attributes: bool) -> list[Utterance]:
    rows, problems = [], []
    for turn, label in chosen:
        if turn.name not in audio:
            problems.append(f"{turn.name} is labelled {turn.category} and has no recording; restore its .wav file.")
            continue
        known = {"sex": SEX[turn.sex], "text": words.get(turn.name, "")}
        known["transcript"] = known["text"]
        known["attributes"] = turn.attributes if attributes else {}
        rows.append(unmeasured(audio[turn.name], f"Ses0{turn.session}{turn.sex}", label, **known))
    raise_problems(problems, f"{len(problems)} of {len(chosen)} turns of IEMOCAP")
    silent = [row.id for row in rows if not row.text]
    if silent:
        logger.warning("IEMOCAP: no words are known of %d turns: %s.", len(silent), some(silent))
    return rows
