"""The table of a corpus: one row per utterance, and the arguments of the preparer that wrote it."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from akd_toolkit.data.audio import read_recording
from akd_toolkit.data.files import write_text_aside

COLUMNS = ("ID", "wav", "start", "stop", "duration", "speaker", "emotion", "sex", "text", "sha256")
OPTIONAL = ("video", "transcript")  # columns that only manifests with such a value have
KNOWN = (*COLUMNS, *OPTIONAL)
ABOUT = ("corpus", "label_order", "arguments", "generated", "speakers_known")  # in manifest.json
MAX_NAMED = 10  # problems that one message lists by name
MARK = "NOT speaker-independent"
WATERMARK = (
    f"> **{MARK}.** The speakers of this corpus are unknown, so the same voice may be in training and in test. That "
    "alone raises scores, often by several points: do not quote these, or compare them with others. Counts of "
    "speakers are counts of utterances."
)


@dataclass(frozen=True)
class Utterance:
    """One row of a manifest; texts are "" if unknown."""

    id: str
    wav: str  # absolute path
    start: int  # first sample, at the file's own sampling rate
    stop: int  # the sample after the last
    duration: float  # seconds, > 0
    speaker: str
    emotion: str
    sex: str = ""
    text: str = ""  # the sentence, or a code of it
    sha256: str = ""  # of the samples as 16-bit PCM, so that a WAV and its FLAC copy agree
    # Dimensional labels by name, such as valence, on the corpus's own scale; unknown ones are left out.
    attributes: dict[str, float] = field(default_factory=dict, hash=False)
    video: str = ""  # absolute path of the video of the same utterance
    transcript: str = ""  # what is said


@dataclass(frozen=True)
class Manifest:
    """Utterances of a corpus in a fixed order, with the order of its labels.

    ValueError if an ID is repeated, an emotion is not in ``label_order``, an utterance has no length, or an
    attribute is not a number or named like another column.

    Example
    -------
    >>> row = Utterance("a1", "/corpus/a1.wav", 0, 16000, 1.0, speaker="A", emotion="sadness")
    >>> manifest = Manifest("toy", ("anger", "sadness"), (row,))
    >>> manifest.labels, manifest.speakers, len(manifest.of(["A"]))
    (array([1]), ('A',), 1)
    """

    corpus: str
    label_order: tuple[str, ...]  # emotions in the order of the logits; stored with every model
    utterances: tuple[Utterance, ...]
    arguments: dict = field(default_factory=dict, compare=False)  # of the preparer; not part of the hash
    generated: bool = False  # whether the toolkit generated the sound
    speakers_known: bool = True  # if not, each utterance counts as a speaker

    def __post_init__(self):
        object.__setattr__(self, "label_order", tuple(self.label_order))
        object.__setattr__(self, "utterances", tuple(self.utterances))
        if len(set(self.label_order)) < len(self.label_order) or not self.label_order:
            raise ValueError(f"label_order must name each emotion once, got {list(self.label_order)}.")
        if repeated := next((name for name, count in Counter(self.ids).items() if count > 1), None):
            raise ValueError(f"{self.corpus} has two utterances {repeated}; IDs must differ. Rename one.")
        for row in self.utterances:
            if row.emotion not in self.label_order:
                raise ValueError(
                    f"utterance {row.id} has the emotion '{row.emotion}'; label_order allows "
                    f"{', '.join(self.label_order)}. Add it to label_order or drop the utterance."
                )
            if not (0 <= row.start < row.stop and row.duration > 0):
                raise ValueError(
                    f"utterance {row.id} goes from sample {row.start} to {row.stop} and lasts {row.duration} s; "
                    "start < stop and a duration > 0 are needed. Run prepare again."
                )
            for name, value in row.attributes.items():
                if name in KNOWN or not np.isfinite(value):
                    raise ValueError(
                        f"utterance {row.id} has the attribute {name} = {value}; give a finite number, or leave out "
                        f"unknown values, under a name that is not one of {', '.join(KNOWN)}."
                    )

    def __len__(self) -> int:
        return len(self.utterances)

    def __hash__(self) -> int:
        return int(self.hash, 16)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    @property
    def title(self) -> str:
        """The corpus for tables and folders; marked if its speakers are unknown."""
        return marked(self.corpus, self.speakers_known)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Every speaker once, sorted."""
        return tuple(sorted({row.speaker for row in self.utterances}))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """IDs in the order of the rows."""
        return tuple(row.id for row in self.utterances)

    @cached_property
    def labels(self) -> np.ndarray:
        """Indices into ``label_order``, int64 [utterances]."""
        return np.array([self.label_order.index(row.emotion) for row in self.utterances], dtype=np.int64)

    @cached_property
    def attribute_names(self) -> tuple[str, ...]:
        """Every attribute that any utterance has, sorted."""
        return tuple(sorted({name for row in self.utterances for name in row.attributes}))

    def attribute_values(self, names: Sequence[str]) -> np.ndarray:
        """Attributes in the order of ``names``, NaN where unknown: [utterances, names]."""
        values = [[row.attributes.get(name, np.nan) for name in names] for row in self.utterances]
        return np.array(values, dtype=float).reshape(len(self), len(names))

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        """ID to row."""
        return {row.id: row for row in self.utterances}

    @cached_property
    def hash(self) -> str:
        """12 hex digits of labels, rows and the sound itself; paths, transcripts and videos do not count."""
        digest = hashlib.sha256(json.dumps([self.title, self.label_order]).encode())
        for row in self.utterances:
            sound = row.sha256 or row.wav
            key = [row.id, row.start, row.stop, row.duration, row.speaker, row.emotion, row.sex, row.text, sound]
            if row.attributes:  # left out if there are none, so that older manifests keep their hash
                key.append(sorted((name, float(value)) for name, value in row.attributes.items()))
            digest.update(json.dumps(key).encode())
        return digest.hexdigest()[:12]

    def of(self, speakers: Iterable[str]) -> "Manifest":
        """The utterances of these speakers, in the same order."""
        wanted = {speakers} if isinstance(speakers, str) else set(speakers)
        if unknown := sorted(wanted - set(self.speakers)):
            known = ", ".join(self.speakers)
            raise ValueError(f"{self.corpus} has no speaker {', '.join(unknown)}; it has {known}. Correct the list.")
        return replace(self, utterances=tuple(row for row in self.utterances if row.speaker in wanted))

    def write(self, path) -> None:
        """Write ``path`` (manifest.csv) and, beside it, manifest.json with labels, hash and arguments."""
        path, text = Path(path), io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [*COLUMNS, *(name for name in OPTIONAL if any(getattr(row, name) for row in self.utterances))]
        writer.writerow([*columns, *self.attribute_names])
        for row in self.utterances:
            cells = [getattr(row, name.lower()) for name in columns]
            writer.writerow([*cells, *(row.attributes.get(name, "") for name in self.attribute_names)])
        write_text_aside(path, text.getvalue())
        about = {key: getattr(self, key) for key in ABOUT} | {"utterances": len(self), "hash": self.hash}
        write_text_aside(path.with_suffix(".json"), json.dumps(about, indent=2) + "\n")

    @classmethod
    def read(cls, path) -> "Manifest":
        """Read what ``write`` wrote; ValueError if it was changed or is incomplete."""
        path = Path(path)
        about_path = path.with_suffix(".json")
        for needed in (path, about_path):
            if not needed.is_file():
                raise FileNotFoundError(f"{needed} does not exist; run prepare for this corpus first.")
        try:
            about = json.loads(about_path.read_text(encoding="utf-8"))
            with path.open(encoding="utf-8", newline="") as file:
                rows = tuple(_row(cells) for cells in csv.DictReader(file, strict=True))
            known = {key: about[key] for key in ABOUT}
            manifest, written_hash = cls(utterances=rows, **known), about["hash"]
        except (KeyError, TypeError, AttributeError, ValueError, csv.Error) as error:
            raise ValueError(f"{path} cannot be read as a manifest ({error}); run prepare again.") from error
        if manifest.hash != written_hash:
            raise ValueError(
                f"{path} has changed since it was written (hash {manifest.hash}, manifest.json says {written_hash}); "
                "delete it and run prepare again."
            )
        return manifest


def _row(cells: dict) -> Utterance:
    values = {name.lower(): cells[name] for name in COLUMNS}
    values.update(start=int(values["start"]), stop=int(values["stop"]), duration=float(values["duration"]))
    values.update((name, cells.get(name, "")) for name in OPTIONAL)
    attributes = {name: float(cell) for name, cell in cells.items() if name not in KNOWN and cell}
    return Utterance(**values, attributes=attributes)


def load_waveforms(utterances: Collection[Utterance], progress: bool = True) -> dict[str, np.ndarray]:
    """Read utterances (a ``Manifest``, or rows of it) as 16 kHz mono waveforms: ID -> float32 [samples].

    ValueError if any file is missing or bad; all of them are named.
    """
    from akd_toolkit.progress import tqdm  # here, because akd predict, which shows no such bar, would start later

    waveforms, problems = {}, []
    for row in tqdm(utterances, desc="reading sound", unit="file", disable=not progress):
        try:
            waveforms[row.id] = read_recording(row.wav, row.start, row.stop).waveform()
        except (OSError, ValueError) as error:
            problems.append(str(error))
    raise_problems(problems, f"{len(problems)} of {len(utterances)} files")
    return waveforms


def raise_problems(problems: list[str], what: str) -> None:
    """Raise one ValueError that names the first problems, if there are any."""
    if problems:
        rest = f"\n  ... and {len(problems) - MAX_NAMED} more" if len(problems) > MAX_NAMED else ""
        raise ValueError(f"{what} cannot be used:\n  " + "\n  ".join(problems[:MAX_NAMED]) + rest)


def marked(corpus: str, speakers_known: bool = True) -> str:
    """The corpus's name, with the mark if its speakers are unknown."""
    return corpus if speakers_known else f"{corpus} ({MARK})"


def is_marked(text: str) -> bool:
    """Whether a row of a written table has the mark."""
    return MARK in text
