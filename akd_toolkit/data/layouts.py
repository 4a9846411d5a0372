"""File names of real corpora, so that a recipe's own preparer can read generated speech in ``--debug`` and in tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

NUM_TEXTS = 10  # sentences that everybody says, if the corpus does not define them


@dataclass(frozen=True)
class Spoken:
    """One generated utterance; ``path`` is relative to the corpus's folder, ``text`` is the number of its sentence."""

    path: str
    speaker: str
    label: str
    number: int
    text: int
    duration_s: float = 0.0
    attributes: Mapping[str, float] | None = None  # valence, arousal and dominance, from 1 to 5


@dataclass(frozen=True)
class Layout:
    """A corpus as a folder of files."""

    speakers: Mapping[str, str]  # name -> "female" or "male"
    labels: Mapping[str, str]  # label -> the emotion that is acted, one of ``ACTINGS``
    path: Callable[[str, str, int], str | None]  # speaker, label, number from 0; None if there is no such utterance
    text: Callable[[str, int], int] = lambda label, number: number % NUM_TEXTS  # number of the sentence
    most: int = 99  # utterances of a speaker in an emotion, at most
    extra: Callable[[Path, Sequence[Spoken]], None] | None = None  # writes other files of the corpus to the folder

    def spoken(self, speaker: str, label: str, number: int) -> Spoken | None:
        path = self.path(speaker, label, number)
        return None if path is None else Spoken(path, speaker, label, number, self.text(label, number))


def _speakers(names: Sequence[str], sexes: str) -> dict[str, str]:
    return {name: {"f": "female", "m": "male"}[sex] for name, sex in zip(names, sexes, strict=True)}


BASIC = {name: name for name in ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")}
EMODB_TEXTS = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
EMODB_LETTERS = dict(zip(BASIC, "WLEAFTN"))
RAVDESS_LABELS = dict(neutral="neutral", calm="boredom", happy="happiness", sad="sadness", angry="anger")
RAVDESS_LABELS |= dict(fearful="fear", disgust="disgust", surprised="happiness")
CREMA_D_SEXES = (  # of actors 1001 to 1091, from VideoDemographics.csv
    "mfffmfffffmffmmmmfmffmmffmmfffmmmmmmfmmmmmfmmffmfmmfffffmfmffmfmmmmmmmmfffffmffmmfmfmmmmfmf"
)
CREMA_D_TEXTS = ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI", "IEO")
CREMA_D_LABELS = {name: name for name in ("anger", "disgust", "fear")} | {"happy": "happiness"}
CREMA_D_LABELS |= {"neutral": "neutral", "sad": "sadness"}
IEMOCAP_LABELS = {"ang": "anger", "hap": "happiness", "exc": "happiness", "sad": "sadness", "neu": "neutral"}


def _emodb_path(speaker: str, label: str, number: int) -> str:
    """Speaker, text, letter of the German emotion, version."""
    version = chr(ord("a") + number // len(EMODB_TEXTS))
    return f"wav/{speaker}{EMODB_TEXTS[number % len(EMODB_TEXTS)]}{EMODB_LETTERS[label]}{version}.wav"


def _ravdess_path(speaker: str, label: str, number: int) -> str | None:
    """Modality, channel, emotion, intensity, statement, repetition, actor."""
    emotion = 1 + list(RAVDESS_LABELS).index(label)
    statement, repetition, intensity = 1 + number % 2, 1 + number // 2 % 2, 1 + number // 4
    if label == "neutral" and intensity > 1:
        return None
    return f"Actor_{speaker}/03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{speaker}.wav"


def _crema_d_text(label: str, number: int) -> int:
    return min(number, len(CREMA_D_TEXTS) - 1)  # the last sentence is said in three levels


def _crema_d_path(speaker: str, label: str, number: int) -> str | None:
    """Actor, sentence, emotion, level."""
    text = _crema_d_text(label, number)
    if label == "neutral" and number > text:
        return None
    levels = text == len(CREMA_D_TEXTS) - 1 and label != "neutral"
    level = ("LO", "MD", "HI")[number - text] if levels else "XX"
    return f"AudioWAV/{speaker}_{CREMA_D_TEXTS[text]}_{label[:3].upper()}_{level}.wav"


def _write_demographics(folder: Path, spoken: Sequence[Spoken]) -> None:
    rows = [f'{speaker},30,"{sex.capitalize()}"' for speaker, sex in LAYOUTS["crema-d"].speakers.items()]
    (folder / "VideoDemographics.csv").write_text("\n".join(['"ActorID","Age","Sex"', *rows, ""]), encoding="utf-8")


def _iemocap_path(speaker: str, label: str, number: int) -> str:
    """The dialogue, named after the one who wears the markers; then the speaker and the turn."""
    session = speaker[:5]
    dialogue = f"{session}F_impro01" if number % 2 == 0 else f"{session}M_script01_1"
    turn = 100 * list(IEMOCAP_LABELS).index(label) + number
    return f"Session{int(session[3:])}/sentences/wav/{dialogue}/{dialogue}_{speaker[-1]}{turn:03d}.wav"


def _write_dialogues(folder: Path, spoken: Sequence[Spoken]) -> None:
    """Labels in ``dialog/EmoEvaluation`` and words in ``dialog/transcriptions``, a file per dialogue."""
    ordered = sorted(spoken, key=lambda turn: turn.path)
    for place, turns in groupby(ordered, key=lambda turn: Path(turn.path).parent):
        labels, words, start = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"], [], 0.0
        for turn in turns:
            name, stop = Path(turn.path).stem, start + turn.duration_s
            values = ", ".join(f"{turn.attributes[key]:.4f}" for key in ("valence", "arousal", "dominance"))
            labels += ["", f"[{start:.4f} - {stop:.4f}]\t{name}\t{turn.label}\t[{values}]"]
            words.append(f"{name} [{start:08.4f}-{stop:08.4f}]: Generated sentence number {turn.text}.")
            start = stop
        for kind, lines in (("EmoEvaluation", labels), ("transcriptions", words)):
            path = folder / place.parts[0] / "dialog" / kind / f"{place.name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


LAYOUTS = {
    "generated": Layout(
        _speakers([f"{'fm'[index % 2]}{index // 2 + 1:02d}" for index in range(99)], ("fm" * 50)[:99]),
        BASIC,
        lambda speaker, label, number: f"wav/{speaker}_{label}_{number:02d}.wav",
    ),
    "emodb": Layout(
        _speakers(("03", "08", "09", "10", "11", "12", "13", "14", "15", "16"), "mffmmmffmf"), BASIC, _emodb_path
    ),
    "ravdess": Layout(
        _speakers([f"{number:02d}" for number in range(1, 25)], "mf" * 12),
        RAVDESS_LABELS,
        _ravdess_path,
        text=lambda label, number: number % 2,
        most=8,
    ),
    "crema-d": Layout(
        _speakers([str(number) for number in range(1001, 1092)], CREMA_D_SEXES),
        CREMA_D_LABELS,
        _crema_d_path,
        text=_crema_d_text,
        most=14,
        extra=_write_demographics,
    ),
    "iemocap": Layout(
        _speakers([f"Ses{session:02d}{sex}" for session in range(1, 6) for sex in "FM"], "fm" * 5),
        IEMOCAP_LABELS,
        _iemocap_path,
        extra=_write_dialogues,
    ),
}
